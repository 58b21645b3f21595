"""The covariance with the batch, by numpy and by what it must not see."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.orthogonal import Orthogonal
from bie.seeds import Streams

NOISE = Noise(torch.Generator())


def norm(z_nd: Tensor, batch_n: Tensor, n_batches: int = 3, scale: float = 1.0) -> tuple[Tensor, float]:
    penalty = build_penalty(("orthogonal", Orthogonal(scale=scale)), z_nd.shape[-1], n_batches, Streams(0))
    assert penalty
    loss, terms = penalty.encoder_loss(z_nd, batch_n, NOISE)
    return loss, terms["covariance"].item()


def latent(n: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_the_norm_of_numpys_covariance() -> None:
    z_nd, batch_n = latent(30), torch.arange(30) % 3
    both = np.cov(np.hstack([z_nd.numpy(), np.eye(3)[batch_n.numpy()]]).T)
    loss, found = norm(z_nd, batch_n, scale=7)
    assert found == pytest.approx((both[:4, 4:] ** 2).sum(), rel=1e-10)
    assert loss.item() == pytest.approx(7 * found)


def test_it_sees_means_and_nothing_else() -> None:
    z_nd, batch_n = latent(40), torch.arange(40) % 2
    for batch in (0, 1):
        z_nd[batch_n == batch] -= z_nd[batch_n == batch].mean(0)
    z_nd[batch_n == 1] *= 100
    assert norm(z_nd, batch_n)[1] == pytest.approx(0, abs=1e-20)
    z_nd[batch_n == 1] += 1
    assert norm(z_nd, batch_n)[1] > 0.1


def test_a_step_down_brings_the_means_together() -> None:
    z_nd, batch_n = latent(40), torch.arange(40) % 2
    z_nd[batch_n == 1] += 3
    z_nd.requires_grad_()
    loss, before = norm(z_nd, batch_n)
    (grad_z_nd,) = torch.autograd.grad(loss, z_nd)
    assert norm((z_nd - 10 * grad_z_nd).detach(), batch_n)[1] < before
