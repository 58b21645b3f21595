"""CLUB against a known mutual information, and by its definition over all pairs of cells."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.club import Club, ClubPenalty, club_bound
from bie.seeds import Streams

NOISE = Noise(torch.Generator())


def build(n_batches: int = 2) -> ClubPenalty:
    settings = Club(scale=10, n_hidden=16, n_layers=1, lr=1e-2, steps=1)
    penalty = build_penalty(("club", settings), 1, n_batches, Streams(0))
    assert isinstance(penalty, ClubPenalty)
    return penalty


def apart(n: int, distance: float) -> tuple[Tensor, Tensor]:
    """Two batches with standard normal latent vectors, so far apart."""
    batch_n = torch.arange(n) % 2
    z_n = torch.randn(n, generator=torch.Generator().manual_seed(0)) + distance * batch_n
    return z_n.unsqueeze(-1), batch_n


def train(penalty: ClubPenalty, z_nd: Tensor, batch_n: Tensor, steps: int = 300) -> None:
    adam = torch.optim.Adam(penalty.parameters(), penalty.critic_lr)
    for _ in range(steps):
        adam.zero_grad()
        torch.autograd.backward(penalty.critic_loss(z_nd, batch_n, NOISE))
        adam.step()


def test_it_is_the_mean_over_all_pairs() -> None:
    log_q_nb = torch.randn(12, 3, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    batch_n = torch.tensor([0] * 6 + [1] * 4 + [2] * 2)
    log_q, batch = log_q_nb.numpy(), batch_n.numpy()
    joint = np.mean([log_q[i, batch[i]] for i in range(12)])
    independent = np.mean([log_q[i, batch[j]] for i in range(12) for j in range(12)])
    assert club_bound(log_q_nb, batch_n).item() == pytest.approx(joint - independent, rel=1e-5)


def test_with_the_true_posterior_it_is_above_the_mutual_information() -> None:
    """Of N(0, 1) and N(2, 1) in equal shares: ln q is known, and so are both sides."""
    z_nd, batch_n = apart(20_000, 2.0)
    logit_n = 2 * z_nd.squeeze(-1) - 2
    log_q_nb = torch.stack((-logit_n, logit_n), -1).div(2).log_softmax(-1)
    truth = math.log(2) + log_q_nb.gather(-1, batch_n.unsqueeze(-1)).mean().item()
    found = club_bound(log_q_nb, batch_n).item()
    assert found == pytest.approx(1.0, abs=0.05)  # half the symmetrised Kullback-Leibler divergence over 2
    assert 0.3 < truth < 0.4 < found


def test_its_network_learns_the_posterior() -> None:
    z_nd, batch_n = apart(2000, 2.0)
    penalty = build()
    train(penalty, z_nd, batch_n)
    loss, terms = penalty.encoder_loss(z_nd, batch_n, NOISE)
    assert terms["club"].item() == pytest.approx(1.0, abs=0.15)
    assert terms["barber_agakov"].item() == pytest.approx(0.35, abs=0.05)
    assert loss.item() == pytest.approx(10 * terms["club"].item(), rel=1e-5)


def test_what_it_sees_of_independent_batches_is_nothing_whatever_their_shares() -> None:
    """A q that has learned their shares must not look like a critic that is far behind."""
    z_nd, batch_n = apart(2000, 0.0)[0], (torch.arange(2000) % 10 == 0).long()
    penalty = build()
    train(penalty, z_nd, batch_n)
    _, terms = penalty.encoder_loss(z_nd, batch_n, NOISE)
    assert terms["barber_agakov"].item() == pytest.approx(0, abs=0.02)


def test_its_gradient_brings_batches_together_and_leaves_the_network_alone() -> None:
    z_nd, batch_n = apart(400, 2.0)
    penalty = build()
    train(penalty, z_nd, batch_n)
    z_nd.requires_grad_()
    loss, _ = penalty.encoder_loss(z_nd, batch_n, NOISE)
    penalty.zero_grad()
    torch.autograd.backward(loss)
    grad_z_nd = z_nd.grad
    assert grad_z_nd is not None
    assert grad_z_nd[batch_n == 1].mean() > 0 > grad_z_nd[batch_n == 0].mean()
    assert all(parameter.grad is None for parameter in penalty.parameters())
