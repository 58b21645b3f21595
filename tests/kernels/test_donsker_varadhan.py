"""The kernel in single precision against the definition in double precision."""

import pytest
import torch
from torch import Tensor

from bie.kernels import donsker_varadhan
from bie.mutual_information.estimators import dv_bound


def scores(n: int = 64, spread: float = 1.0, shift: float = 0.0) -> Tensor:
    draws = torch.randn(2 * n, generator=torch.Generator().manual_seed(0))
    return (draws * spread + shift).requires_grad_()


def off(one: Tensor, exact: Tensor) -> float:
    return float(((one - exact).norm() / exact.norm()).item())


@pytest.mark.parametrize("n", [1, 7, 64])
@pytest.mark.parametrize("spread", [0.1, 1.0, 300.0])
@pytest.mark.parametrize("shift", [0.0, 50.0, -50.0])
def test_bound_and_its_gradient(n: int, spread: float, shift: float) -> None:
    score_2n = scores(n, spread, shift)
    exact = score_2n.detach().double().requires_grad_()
    value, expected = donsker_varadhan.bound(score_2n), dv_bound(*exact.chunk(2))
    assert (value - expected).abs() < 1e-6 * (spread + abs(shift) + 1)
    (found,), (right,) = torch.autograd.grad(3 * value, score_2n), torch.autograd.grad(3 * expected, exact)
    assert off(found, right) < 1e-5


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", [3, -1])
def test_what_is_not_finite_is_not_hidden(bad: float, where: int) -> None:
    score_2n = scores().detach()
    score_2n[where] = bad
    assert not donsker_varadhan.bound(score_2n).isfinite()
