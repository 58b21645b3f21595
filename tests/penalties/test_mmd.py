"""Every statistic against explicit loops over cells, in double precision."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.mmd import Mmd, MmdPenalty, linear_statistics, v_statistics
from bie.seeds import Streams

SETTINGS = {"scale": 100.0, "estimator": "normal", "bandwidth": "multi", "pairs": "consecutive"}
NOISE = Noise(torch.Generator())
ESTIMATORS = pytest.mark.parametrize("estimator", ["normal", "fast"])


def build(**changes: Any) -> MmdPenalty:
    settings = Mmd.model_validate(SETTINGS | changes)
    penalty = build_penalty(("mmd", settings), 3, 5, Streams(0))
    assert isinstance(penalty, MmdPenalty)
    return penalty


def mmd(z_nd: Tensor, batch_n: Tensor, **changes: Any) -> float:
    return build(**changes).encoder_loss(z_nd, batch_n, NOISE)[1]["mmd"].item()


def gradient(z_nd: Tensor, batch_n: Tensor, **changes: Any) -> Tensor:
    z_nd = z_nd.clone().requires_grad_()
    return torch.autograd.grad(build(**changes).encoder_loss(z_nd, batch_n, NOISE)[0], z_nd)[0]


def latent(n: int, d: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


# Explicit loops


def kernel(a: Tensor, b: Tensor, sigmas: list[float]) -> float:
    square = sum((float(p) - float(q)) ** 2 for p, q in zip(a, b, strict=True))
    return float(np.mean([np.exp(-square / (2 * sigma**2)) for sigma in sigmas]))


def v_loops(x_nd: Tensor, y_nd: Tensor, sigmas: list[float]) -> float:
    def mean(a_nd: Tensor, b_nd: Tensor) -> float:
        return float(np.mean([kernel(a, b, sigmas) for a, b in product(a_nd, b_nd)]))

    return mean(x_nd, x_nd) + mean(y_nd, y_nd) - 2 * mean(x_nd, y_nd)


def fast_loops(x_nd: Tensor, y_nd: Tensor, sigmas: list[float]) -> float:
    half = min(len(x_nd), len(y_nd)) // 2
    total = 0.0
    for i in range(half):
        j = half + i
        total += kernel(x_nd[i], x_nd[j], sigmas) + kernel(y_nd[i], y_nd[j], sigmas)
        total -= kernel(x_nd[i], y_nd[j], sigmas) + kernel(x_nd[j], y_nd[i], sigmas)
    return total / half


LOOPS = {"normal": v_loops, "fast": fast_loops}
UNIT = [0.5**0.5]  # exp(-|a - b|²)


def distances(z_nd: Tensor, estimator: str) -> list[float]:
    """Those whose median is the bandwidth."""
    n = len(z_nd)
    pairs = {
        "normal": [(i, j) for i in range(n) for j in range(i)],
        "fast": [(i, n // 2 + i) for i in range(n // 2)],
    }[estimator]
    return sorted(float((z_nd[i] - z_nd[j]).norm()) for i, j in pairs)


@ESTIMATORS
@pytest.mark.parametrize("sizes", [(7, 7), (9, 4), (3, 8), (2, 2)])
def test_unit_bandwidth_equals_the_loops(estimator: str, sizes: tuple[int, int]) -> None:
    z_nd, batch_n = latent(sum(sizes)), torch.arange(2).repeat_interleave(torch.tensor(sizes))
    expected = LOOPS[estimator](z_nd[batch_n == 0], z_nd[batch_n == 1], UNIT)
    assert mmd(z_nd, batch_n, estimator=estimator, bandwidth="unit") == pytest.approx(expected, abs=1e-12)


@ESTIMATORS
@pytest.mark.parametrize(("bandwidth", "widths"), [("median", [1]), ("multi", [0.25, 0.5, 1, 2, 4])])
def test_median_bandwidths_equal_the_loops(estimator: str, bandwidth: str, widths: list[float]) -> None:
    z_nd = latent(14)
    batch_n = torch.arange(14) % 2
    found = distances(z_nd, estimator)
    median = found[(len(found) - 1) // 2]  # the lower one of two
    expected = LOOPS[estimator](z_nd[::2], z_nd[1::2], [width * median for width in widths])
    assert mmd(z_nd, batch_n, estimator=estimator, bandwidth=bandwidth) == pytest.approx(expected, abs=1e-12)


def test_fast_pairs_the_cells_of_a_batch_in_the_order_of_the_minibatch() -> None:
    z_nd, batch_n = latent(8), torch.tensor([0, 0, 1, 0, 1, 0, 1, 1])
    order = [0, 1, 3, 5, 2, 4, 6, 7]
    assert mmd(z_nd, batch_n, estimator="fast", bandwidth="unit") == pytest.approx(
        fast_loops(z_nd[order[:4]], z_nd[order[4:]], UNIT), abs=1e-12
    )


# Which pairs


@ESTIMATORS
def test_one_batch_has_no_distance(estimator: str) -> None:
    for code in (0, 1):
        batch_n = torch.full((6,), code)
        assert mmd(latent(6), batch_n, estimator=estimator) == 0
        assert not gradient(latent(6), batch_n, estimator=estimator).any()


@ESTIMATORS
def test_three_batches_are_the_sum_of_the_neighbouring_pairs(estimator: str) -> None:
    """The pull request's case: 3, 3 and 2 rows."""
    z_nd, batch_n = latent(8), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    first, second, third = (z_nd[batch_n == code] for code in range(3))
    loops = LOOPS[estimator]
    expected = loops(first, second, UNIT) + loops(second, third, UNIT)
    changes = {"estimator": estimator, "bandwidth": "unit"}
    assert mmd(z_nd, batch_n, **changes) == pytest.approx(expected, abs=1e-12)
    every = expected + loops(first, third, UNIT)
    assert mmd(z_nd, batch_n, **changes, pairs="all") == pytest.approx(every, abs=1e-12)


@ESTIMATORS
@pytest.mark.parametrize("pairs", ["consecutive", "all"])
def test_batches_absent_from_the_minibatch_are_skipped(estimator: str, pairs: str) -> None:
    z_nd, changes = latent(10), {"estimator": estimator, "pairs": pairs}
    two, apart = torch.tensor([0, 1] * 5), torch.tensor([1, 4] * 5)
    assert mmd(z_nd, apart, **changes) == mmd(z_nd, two, **changes) != 0
    assert torch.equal(gradient(z_nd, apart, **changes), gradient(z_nd, two, **changes))


def test_order_of_the_cells_does_not_matter_to_the_v_statistic() -> None:
    z_nd, batch_n, order = latent(12), torch.arange(12) % 3, torch.randperm(12)
    assert mmd(z_nd[order], batch_n[order]) == pytest.approx(mmd(z_nd, batch_n), abs=1e-12)


# Guards


@pytest.mark.parametrize("bandwidth", ["unit", "median", "multi"])
def test_a_batch_of_one_cell(bandwidth: str) -> None:
    z_nd, batch_n = latent(6), torch.tensor([0, 0, 0, 1, 0, 0])
    assert mmd(z_nd, batch_n, estimator="fast", bandwidth=bandwidth) == 0
    assert not gradient(z_nd, batch_n, estimator="fast", bandwidth=bandwidth).any()
    assert mmd(z_nd, batch_n, bandwidth=bandwidth) > 0
    assert gradient(z_nd, batch_n, bandwidth=bandwidth).isfinite().all()


@ESTIMATORS
@pytest.mark.parametrize("bandwidth", ["unit", "median", "multi"])
@pytest.mark.parametrize("spread", [0.0, 1e-20, 1e15])
def test_collapsed_and_exploded_latent_vectors(estimator: str, bandwidth: str, spread: float) -> None:
    z_nd, batch_n = (spread * latent(8)).float(), torch.arange(8) % 2
    changes = {"estimator": estimator, "bandwidth": bandwidth}
    assert np.isfinite(mmd(z_nd, batch_n, **changes))
    assert gradient(z_nd, batch_n, **changes).isfinite().all()


def test_most_cells_in_one_place() -> None:
    """The median distance is 0."""
    z_nd = torch.zeros(10, 3)
    z_nd[-1] = 1.0
    assert gradient(z_nd, torch.arange(10) % 2).isfinite().all()


# The gradient


@ESTIMATORS
def test_gradient_equals_finite_differences_at_a_fixed_bandwidth(estimator: str) -> None:
    z_nd, batch_n = latent(9), torch.tensor([0, 0, 1, 0, 1, 1, 0, 1, 1])
    found, step = gradient(z_nd, batch_n, estimator=estimator, bandwidth="unit"), 1e-6
    for row, column in product(range(9), range(3)):
        up, down = z_nd.clone(), z_nd.clone()
        up[row, column] += step
        down[row, column] -= step
        rise, fall = (mmd(z, batch_n, estimator=estimator, bandwidth="unit") for z in (up, down))
        assert found[row, column].item() == pytest.approx(100 * (rise - fall) / (2 * step), abs=1e-6)


@ESTIMATORS
def test_the_median_carries_no_gradient(estimator: str) -> None:
    """That of the loss is the one of a kernel whose bandwidth is a number."""
    z_nd, batch_n = latent(8), torch.arange(8) % 2
    found = distances(z_nd, estimator)
    factor = 1 / (2**0.5 * found[(len(found) - 1) // 2])  # makes the unit kernel one of that bandwidth
    expected = factor * gradient(factor * z_nd, batch_n, estimator=estimator, bandwidth="unit")
    actual = gradient(z_nd, batch_n, estimator=estimator, bandwidth="median")
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-9)


@ESTIMATORS
def test_ten_dimensions_need_a_bandwidth(estimator: str) -> None:
    """The unit kernel, as in the pull request, sees no neighbours there: E |a - b|² is 20."""
    z_nd, batch_n = latent(128, 10), (torch.arange(128) % 3 == 0).long()
    shifted_nd = z_nd + batch_n[:, None] * torch.eye(10)[0]

    def norm(bandwidth: str) -> float:
        return float(gradient(z_nd, batch_n, estimator=estimator, bandwidth=bandwidth).norm())

    def pull(bandwidth: str) -> float:
        """On the shifted batch, back along the shift."""
        force_nd = gradient(shifted_nd, batch_n, estimator=estimator, bandwidth=bandwidth)
        return float(force_nd[batch_n == 1, 0].sum())

    for usable in ("median", "multi"):
        assert norm(usable) > 4 * norm("unit")
        assert pull(usable) > 50 * abs(pull("unit"))


def test_loss_is_the_scaled_statistic_and_the_history_gets_both_norms() -> None:
    z_nd, batch_n = latent(9), torch.arange(9) % 2
    loss, terms = build(scale=7.0).encoder_loss(z_nd, batch_n, NOISE)
    assert loss.item() == pytest.approx(7 * terms["mmd"].item())
    assert terms["mmd_per_cell"].item() == pytest.approx(terms["mmd"].item() / 9)
    penalty = build(scale=0.0)
    assert penalty.encoder_loss(z_nd, batch_n, NOISE)[0] == 0
    assert (penalty.critic_steps, list(penalty.parameters())) == (0, [])
    assert penalty.critic_loss(z_nd, batch_n, NOISE) == 0


# What it measures


@ESTIMATORS
@pytest.mark.parametrize("bandwidth", ["median", "multi"])
def test_grows_with_the_shift_between_two_batches(estimator: str, bandwidth: str) -> None:
    z_nd, batch_n = latent(400, 10), torch.arange(400) % 2
    changes = {"estimator": estimator, "bandwidth": bandwidth}
    shifts = [0.0, 1.0, 2.0, 4.0]
    values = [mmd(z_nd + s * batch_n[:, None] * torch.eye(10)[0], batch_n, **changes) for s in shifts]
    assert abs(values[0]) < 0.03
    assert values[-1] > 0.15
    assert values == sorted(values)


def test_sees_a_difference_in_spread_alone() -> None:
    z_nd, batch_n = latent(400, 10), torch.arange(400) % 2
    swollen = mmd(z_nd * (1 + batch_n[:, None]), batch_n)
    assert swollen > 5 * mmd(z_nd, batch_n)


def test_v_statistic_of_equal_distributions_is_its_bias() -> None:
    """(1/n + 1/m)(1 - E k), and E k = (1 + 4 rate)^(-d/2) for standard normal vectors."""
    batch_n = torch.arange(60) % 3 // 2  # 40 and 20 cells
    pair = [(0, 1)]
    found = [v_statistics(latent(60, 2, seed), batch_n, 2, "unit")[0, 1].item() for seed in range(300)]
    expected = (1 / 40 + 1 / 20) * (1 - 1 / 5)
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 300**0.5)
    fast = [linear_statistics(latent(60, 2, seed), batch_n, pair, "unit").item() for seed in range(300)]
    assert np.mean(fast) == pytest.approx(0, abs=4 * np.std(fast) / 300**0.5)


def test_unbiased_values_of_a_known_shift() -> None:
    """2 (1 + 4 rate)^(-d/2) (1 - exp(-rate shift² / (1 + 4 rate))) for two unit normal distributions."""
    z_nd, batch_n = latent(40_000, 2), torch.arange(40_000) % 2
    z_nd[:, 0] += 1.5 * batch_n
    expected = 2 / 5 * (1 - np.exp(-(1.5**2) / 5))
    assert linear_statistics(z_nd, batch_n, [(0, 1)], "unit").item() == pytest.approx(expected, abs=0.015)
    few = v_statistics(z_nd[:3000], batch_n[:3000], 2, "unit")[0, 1].item()
    assert few == pytest.approx(expected, abs=0.02)
