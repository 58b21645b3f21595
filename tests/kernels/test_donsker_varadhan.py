"""The kernel in single precision against the definition in double precision."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from bie.kernels import donsker_varadhan, mlp
from bie.mutual_information.estimators import LogMovingAverage, critic_objective, dv_bound, log_mean_exp

WIDTHS = (5, 33, 1)


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


def parameters() -> Tensor:
    size = sum((n_in + 1) * n_out for n_in, n_out in pairwise(WIDTHS))
    return torch.randn(size, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("rate", [0.01, 0.5, 1.0])
def test_gradient_of_the_critic_and_its_average(rate: float) -> None:
    """Over three updates; double precision takes the plain path."""
    vector, average, exact_average = parameters(), LogMovingAverage(rate), LogMovingAverage(rate).double()
    exact = vector.detach().double().requires_grad_()
    for step in range(3):
        x = torch.randn(2 * 20, 5, generator=torch.Generator().manual_seed(2 + step))
        found = donsker_varadhan.critic_gradient(x, vector.detach(), WIDTHS, average.state())
        joint_n, marginal_n = mlp.mlp(x.double(), exact, WIDTHS).squeeze(-1).chunk(2)
        log_average = exact_average.update(log_mean_exp(marginal_n.detach()))
        (expected,) = torch.autograd.grad(critic_objective(joint_n, marginal_n, log_average), exact)
        assert off(found, expected) < 1e-5
        assert average.n_updates == step + 1
        torch.testing.assert_close(average.log_sum.double(), exact_average.log_sum, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", [3, -1])
def test_what_is_not_finite_is_not_hidden(bad: float, where: int) -> None:
    score_2n = scores().detach()
    score_2n[where] = bad
    assert not donsker_varadhan.bound(score_2n).isfinite()


def test_other_scores_take_the_plain_path() -> None:
    assert donsker_varadhan.takes(scores())
    assert not donsker_varadhan.takes(scores().double())
    assert not donsker_varadhan.takes(scores().expand(2, -1))
