import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bie.metrics.mixing import be, be_ceiling, be_ratio, draw_pools
from bie.metrics.neighbours import nearest

Codes = NDArray[np.int64]


def be_by_loops(z_nd: NDArray[np.float64], batch_n: Codes, k: int) -> float:
    entropies = []
    for i in range(len(z_nd)):
        others = sorted((math.dist(z_nd[i], z_nd[j]), j) for j in range(len(z_nd)) if j != i)
        batches = [int(batch_n[j]) for _, j in others[:k]]
        shares = [batches.count(b) / k for b in set(batches)]
        entropies.append(-sum(share * math.log(share) for share in shares))
    return sum(entropies) / len(entropies)


def scores(z_nd: NDArray[np.float64], batch_n: Codes, n_batches: int, k: int) -> tuple[float, float]:
    neighbour_qk, every = nearest(z_nd, k).index_qk, np.arange(len(z_nd))
    return be(neighbour_qk, batch_n, n_batches, every), be_ratio(neighbour_qk, batch_n, n_batches, every)


@pytest.mark.parametrize("n_batches", [2, 3, 6])
def test_be_equals_explicit_loops(n_batches: int) -> None:
    rng = np.random.default_rng(n_batches)
    z_nd, batch_n = rng.normal(size=(60, 2)), rng.integers(n_batches, size=60)
    z_nd[:, 0] += batch_n
    value, ratio = scores(z_nd, batch_n, n_batches, 9)
    assert value == pytest.approx(be_by_loops(z_nd, batch_n, 9), abs=1e-12)
    assert ratio == pytest.approx(value / be_ceiling(batch_n, n_batches, 9), abs=1e-12)


SHARES = {0.5: 0.683, 0.4: 0.663, 0.334: 0.627, 0.33: 0.624, 0.3: 0.601, 0.25: 0.552, 0.2: 0.490, 0.1: 0.315}


@pytest.mark.parametrize(("share", "ceiling"), SHARES.items())
def test_ceiling_of_two_batches(share: float, ceiling: float) -> None:
    batch_n = (np.arange(1000) < round(share * 1000)).astype(np.int64)
    assert be_ceiling(batch_n, 2, 50) == pytest.approx(ceiling, abs=0.0006)


def test_ceiling_sums_over_all_outcomes() -> None:
    """Three batches and four neighbours: every one of the 81 ways to draw them."""
    batch_n, k = np.array([0] * 5 + [1] * 3 + [2] * 2), 4
    expected = 0.0
    for outcome in np.ndindex(*(3,) * k):
        chance = math.prod((0.5, 0.3, 0.2)[b] for b in outcome)
        shares = [outcome.count(b) / k for b in set(outcome)]
        expected -= chance * sum(share * math.log(share) for share in shares)
    assert be_ceiling(batch_n, 3, k) == pytest.approx(expected, abs=1e-12)


def test_absent_batches_do_not_count() -> None:
    batch_n = np.arange(100) % 2
    assert be_ceiling(batch_n, 5, 10) == pytest.approx(be_ceiling(batch_n, 2, 10), abs=1e-12)


@pytest.mark.parametrize("n_batches", [2, 4])
def test_shuffled_batches_reach_the_ceiling(n_batches: int) -> None:
    rng = np.random.default_rng(0)
    z_nd = rng.normal(size=(4000, 5))
    batch_n = np.minimum(rng.geometric(0.5, size=4000) - 1, n_batches - 1)
    _, ratio = scores(z_nd, batch_n, n_batches, 50)
    assert ratio == pytest.approx(1.0, abs=0.01)


def test_separated_batches_do_not_mix() -> None:
    batch_n = np.arange(300) % 3
    z_nd = np.random.default_rng(0).normal(size=(300, 2)) + 100.0 * batch_n[:, None]
    assert scores(z_nd, batch_n, 3, 20) == (0.0, 0.0)


def test_pools_repeat_cells_and_estimate_the_average() -> None:
    rng = np.random.default_rng(0)
    z_nd, batch_n = rng.normal(size=(2000, 2)), (rng.random(2000) < 0.3).astype(np.int64)
    z_nd[:, 0] += batch_n
    neighbour_qk = nearest(z_nd, 50).index_qk
    drawn = draw_pools(2000, 50, np.random.default_rng(1))
    assert drawn.shape == (5000,)
    assert 0 <= drawn.min() <= drawn.max() < 2000
    sampled, averaged = (be(neighbour_qk, batch_n, 2, rows) for rows in (drawn, np.arange(2000)))
    assert sampled != averaged
    assert sampled == pytest.approx(averaged, abs=0.02)
