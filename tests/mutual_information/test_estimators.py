import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.mutual_information.estimators import LogMovingAverage, critic_objective, dv_bound, log_mean_exp


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_log_mean_exp_equals_its_definition() -> None:
    score_n = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    assert log_mean_exp(score_n).item() == pytest.approx(math.log(sum(map(math.exp, (0.3, -1.2, 2.0))) / 3))


@pytest.mark.parametrize("shift", [-1e3, 1e3])
def test_large_scores_do_not_overflow(shift: float) -> None:
    joint_n, marginal_n = torch.randn(2, 50, generator=generator())
    shifted = dv_bound(joint_n + shift, marginal_n + shift)
    torch.testing.assert_close(shifted, dv_bound(joint_n, marginal_n), atol=1e-3, rtol=0)


def test_bound_is_tight_at_the_log_density_ratio_and_below_it_elsewhere() -> None:
    """Equally frequent x = ±1 and y | x ~ N(x, 1): T = ln p(y | x) / p(y) = ln(2 / (1 + e^-2xy))."""
    n = 400_000
    x_n = torch.randint(0, 2, (n,), generator=generator(), dtype=torch.float64) * 2 - 1
    y_n = x_n + torch.randn(n, generator=generator(1), dtype=torch.float64)
    other_n = x_n[torch.randperm(n, generator=generator(2))]

    def optimal(x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(2 * x * y).log() + math.log(2)

    def bound(critic: Callable[[Tensor, Tensor], Tensor]) -> float:
        return dv_bound(critic(x_n, y_n), critic(other_n, y_n)).item()

    truth = optimal(x_n, y_n).mean().item()
    assert truth == pytest.approx(0.3369, abs=0.003)  # by quadrature
    assert bound(optimal) == pytest.approx(truth, abs=0.003)
    assert bound(lambda x, y: 0.5 * optimal(x, y)) < truth - 0.02
    assert bound(lambda x, y: 2 * optimal(x, y)) < truth - 0.02


@pytest.mark.parametrize("seed", range(5))
def test_additive_critic_is_blind(seed: int) -> None:
    """T = a(s) + b(z) scores at most 0 (Jensen), here on a pair that shares everything."""
    s_n = torch.arange(1000) % 2
    a_n = torch.randn(2, generator=generator(seed), dtype=torch.float64)[s_n]
    b_n = 3 * s_n + torch.randn(1000, generator=generator(seed + 10), dtype=torch.float64)
    every_pair = (a_n[:, None] + b_n).flatten()
    assert dv_bound(a_n + b_n, every_pair).item() < 0


def test_bound_cannot_exceed_what_the_sample_certifies() -> None:
    """A critic that tells the pairs apart perfectly, with one independent pair among m by chance."""
    m = 128
    joint_n, marginal_n = torch.full((m,), 1e3), torch.full((m,), -1e3)
    marginal_n[0] = 1e3
    assert dv_bound(joint_n, marginal_n).item() == pytest.approx(math.log(m), abs=1e-3)


def test_moving_average_equals_explicit_weights() -> None:
    rate, values = 0.1, [3.0, 1.0, 7.0, 0.5]
    average = LogMovingAverage(rate)
    for t in range(1, len(values) + 1):
        seen = values[:t]
        weights = [rate * (1 - rate) ** (t - 1 - i) for i in range(t)]
        expected = sum(w * v for w, v in zip(weights, seen, strict=True)) / sum(weights)
        assert average.update(torch.tensor(seen[-1]).log()).exp().item() == pytest.approx(expected, rel=1e-5)


def test_rate_one_forgets_everything() -> None:
    average = LogMovingAverage(1.0)
    for value in (2.0, 5.0):
        assert average.update(torch.tensor(value)).item() == pytest.approx(value)


def test_moving_average_of_numbers_beyond_float_range() -> None:
    average = LogMovingAverage(0.01)
    average.update(torch.tensor(1000.0))
    assert average.update(torch.tensor(1000.0)).item() == pytest.approx(1000.0, abs=1e-3)


def test_objective_stays_bounded_when_scores_jump() -> None:
    average = LogMovingAverage(0.01)
    average.update(torch.tensor(0.0))
    marginal_n = torch.tensor([1000.0, 0.0])
    log_average = average.update(log_mean_exp(marginal_n))
    assert 0 < critic_objective(torch.zeros(2), marginal_n, log_average).item() <= 1 / 0.01


def test_gradient_is_closer_to_the_full_gradient_than_the_minibatch_one() -> None:
    """T = theta t, for which the minibatch quotient E[e^T t] / E[e^T] is too small on average."""
    t_n = torch.randn(4096, generator=generator(), dtype=torch.float64)
    joint_n = torch.zeros(1, dtype=torch.float64)

    def gradient(loss_of_scores: Callable[[Tensor], Tensor], t: Tensor) -> float:
        theta = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(loss_of_scores(theta * t), theta)[0].item()

    def minus_bound(score_n: Tensor) -> Tensor:
        return -dv_bound(joint_n, score_n)

    def corrected_loss(score_n: Tensor) -> Tensor:
        return critic_objective(joint_n, score_n, average.update(log_mean_exp(score_n.detach())))

    average, order = LogMovingAverage(0.01).double(), generator(1)
    drawn = [t_n[torch.randint(4096, (16,), generator=order)] for _ in range(4000)]
    full = gradient(minus_bound, t_n)
    naive, corrected = (
        np.mean([gradient(loss, t) for t in drawn][500:]) for loss in (minus_bound, corrected_loss)
    )
    assert naive < 0.9 * full
    assert abs(corrected - full) < 0.3 * abs(naive - full)
