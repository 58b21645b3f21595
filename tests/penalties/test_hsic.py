"""HSIC against its definition by matrices, and against MMD, in double precision."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.hsic import Hsic, HsicPenalty, hsic
from bie.penalties.mmd import v_statistics
from bie.seeds import Streams

NOISE = Noise(torch.Generator())


def latent(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_trace_of_centred_kernel_matrices() -> None:
    z_nd, batch_n = latent(25), torch.arange(25) % 3
    z, batch = z_nd.numpy(), batch_n.numpy()
    kernel = np.exp(-((z[:, None] - z[None]) ** 2).sum(-1))
    centring = np.eye(25) - 1 / 25
    same = (batch[:, None] == batch[None]).astype(float)
    expected = np.trace(kernel @ centring @ same @ centring) / 25**2
    assert hsic(z_nd, batch_n, 3, "unit").item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("bandwidth", ["unit", "median", "multi"])
def test_of_two_batches_it_is_mmd_by_their_shares(bandwidth: str) -> None:
    z_nd, batch_n = latent(40), (torch.arange(40) % 4 == 0).long()
    z_nd[batch_n == 1] += 1
    square_mmd = v_statistics(z_nd, batch_n, 2, bandwidth)[0, 1].item()
    expected = 2 * (0.25 * 0.75) ** 2 * square_mmd
    assert hsic(z_nd, batch_n, 2, bandwidth).item() == pytest.approx(expected, rel=1e-10)


def test_a_batch_that_is_absent_changes_nothing() -> None:
    z_nd, batch_n = latent(20), torch.arange(20) % 2
    assert hsic(z_nd, 2 * batch_n, 4, "multi").item() == pytest.approx(hsic(z_nd, batch_n, 2, "multi").item())


def test_going_down_it_brings_batches_together() -> None:
    z_nd, batch_n = latent(60), torch.arange(60) % 2
    z_nd[batch_n == 1] += 2
    penalty = build_penalty(("hsic", Hsic(scale=100, bandwidth="multi")), 3, 2, Streams(0))
    assert isinstance(penalty, HsicPenalty)
    start = hsic(z_nd, batch_n, 2, "multi").item()
    for _ in range(100):
        z_nd.requires_grad_()
        loss, terms = penalty.encoder_loss(z_nd, batch_n, NOISE)
        assert loss.item() == pytest.approx(100 * terms["hsic"].item())
        z_nd = (z_nd - 0.1 * torch.autograd.grad(loss, z_nd)[0]).detach()
    assert hsic(z_nd, batch_n, 2, "multi").item() < 0.5 * start
