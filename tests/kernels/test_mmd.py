"""The kernel in single precision against the definition in double precision."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bie.kernels import native
from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.base import Penalty
from bie.penalties.mmd import Mmd
from bie.seeds import Streams
from bie.training.critic import Critics
from bie.training.learner import Solo, Start
from bie.training.penalty_kernels import penalty_kernel

N_BATCHES = 6
CODES = {
    "two": torch.arange(128) % 5 % 2,
    "some are absent": torch.tensor([1, 4, 5])[torch.arange(61) % 3],
    "a single cell of one": (torch.arange(17) == 3).long(),
    "one batch": torch.full((8,), 2),
    "two cells": torch.tensor([0, 3]),
}


def penalty(**changes: Any) -> Penalty:
    values = {"scale": 3.0, "estimator": "normal", "bandwidth": "multi", "pairs": "consecutive"}
    built = build_penalty(("mmd", Mmd.model_validate(values | changes)), 7, N_BATCHES, Streams(0))
    assert built is not None
    return built


def value_and_gradient(z_nd: Tensor, batch_n: Tensor, **changes: Any) -> tuple[Tensor, Tensor]:
    """By the kernel in single precision, by autograd in double precision."""
    built = penalty(**changes)
    solo = Solo(Start(built, None))
    kernel = penalty_kernel(built, solo) if z_nd.dtype == torch.float32 else None
    critics = Critics(solo, torch.tensor(0), 1, kernel)
    found = critics.step(z_nd, z_nd, batch_n, Noise(torch.Generator()))
    assert found.grad_z_nd is not None
    return found.loss, found.grad_z_nd


@pytest.mark.parametrize("pairs", ["consecutive", "all"])
@pytest.mark.parametrize("bandwidth", ["unit", "median", "multi"])
@pytest.mark.parametrize("batch_n", CODES.values(), ids=CODES)
@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0])
def test_value_and_gradient_are_those_of_the_definition(
    pairs: str, bandwidth: str, batch_n: Tensor, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    z_nd = spread * torch.randn(len(batch_n), 7, generator=torch.Generator().manual_seed(0))
    called = []

    def listen(name: str, *arguments: Any) -> None:
        called.append(name)
        native.call(name, *arguments)

    monkeypatch.setattr("bie.kernels.mmd.call", listen)
    value, by_z = value_and_gradient(z_nd, batch_n, pairs=pairs, bandwidth=bandwidth)
    expected, by_exact = value_and_gradient(z_nd.double(), batch_n, pairs=pairs, bandwidth=bandwidth)
    assert called == ["mmd"]
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    assert (by_z - by_exact).norm() <= 1e-5 * by_exact.norm() + 1e-12


@pytest.mark.parametrize("bandwidth", ["unit", "median", "multi"])
def test_equal_cells_are_no_distance_apart(bandwidth: str) -> None:
    value, by_z = value_and_gradient(torch.ones(12, 7), torch.arange(12) % 2, bandwidth=bandwidth)
    assert abs(value) < 1e-6
    assert by_z.eq(0).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_is_not_hidden(bad: float) -> None:
    z_nd = torch.randn(12, 7, generator=torch.Generator().manual_seed(0))
    z_nd[3, 2] = bad
    value, _ = value_and_gradient(z_nd, torch.arange(12) % 2)
    assert not value.isfinite()
