"""The reverse cross-entropy by numpy, and that it pays for telling the batch."""

import math

import numpy as np
import pytest
import torch

from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.club import barber_agakov_bound
from bie.penalties.rce import Rce, RcePenalty, reverse_cross_entropy, wrong_batch_bound
from bie.seeds import Streams

NOISE = Noise(torch.Generator())


def test_it_is_the_cross_entropy_to_the_other_batches() -> None:
    log_p_nb = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    batch_n = torch.arange(9) % 3
    target = (1 - np.eye(3)[batch_n.numpy()]) / 2
    expected = -(target * log_p_nb.numpy()).sum(1).mean()
    assert reverse_cross_entropy(log_p_nb, batch_n).item() == pytest.approx(expected, rel=1e-5)


def test_its_least_value_takes_the_true_batch() -> None:
    batch_n = torch.arange(30) % 3
    told = torch.full((30, 3), -math.log(2)).scatter(-1, batch_n.unsqueeze(-1), -100.0)
    untold = torch.full((30, 3), -math.log(3))
    assert reverse_cross_entropy(told, batch_n).item() == pytest.approx(math.log(2))
    assert reverse_cross_entropy(untold, batch_n).item() == pytest.approx(math.log(3))
    assert wrong_batch_bound(told, batch_n).item() == pytest.approx(math.log(3 / 2))
    assert wrong_batch_bound(untold, batch_n).item() == pytest.approx(0, abs=1e-6)


def test_of_two_batches_its_bound_is_that_of_a_classifier_with_the_names_exchanged() -> None:
    log_p_nb = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    batch_n = (torch.arange(9) > 5).long()
    as_classifier = barber_agakov_bound(log_p_nb.flip(-1), batch_n)
    assert wrong_batch_bound(log_p_nb, batch_n).item() == pytest.approx(as_classifier.item(), rel=1e-5)


def test_minimised_by_both_it_takes_batches_apart() -> None:
    settings = Rce(scale=100, n_hidden=16, n_layers=1, lr=1e-2, steps=1)
    penalty = build_penalty(("rce", settings), 2, 2, Streams(0))
    assert isinstance(penalty, RcePenalty)
    batch_n = torch.arange(100) % 2
    z_nd = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    adam = torch.optim.Adam(penalty.parameters(), penalty.critic_lr)

    def gap() -> float:
        return float((z_nd[batch_n == 1].mean(0) - z_nd[batch_n == 0].mean(0)).square().sum().sqrt())

    before = gap()
    for _ in range(150):
        adam.zero_grad()
        torch.autograd.backward(penalty.critic_loss(z_nd, batch_n, NOISE))
        adam.step()
        z_nd.requires_grad_()
        loss, _ = penalty.encoder_loss(z_nd, batch_n, NOISE)
        z_nd = (z_nd - 0.1 * torch.autograd.grad(loss, z_nd)[0]).detach()
    assert gap() > before + 1
