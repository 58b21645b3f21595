import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif

from bie.metrics.dependence import mi_ross

Codes = NDArray[np.int64]


def ross_by_loops(z_nd: NDArray[np.float64], batch_n: Codes, k: int) -> float:
    sizes = {int(b): int((batch_n == b).sum()) for b in batch_n}
    rows = [i for i in range(len(z_nd)) if sizes[int(batch_n[i])] > 1]
    total = 0.0
    for i in rows:
        size = sizes[int(batch_n[i])]
        near = min(k, size - 1)
        distance = {j: math.dist(z_nd[i], z_nd[j]) for j in rows if j != i}
        radius = sorted(distance[j] for j in distance if batch_n[j] == batch_n[i])[near - 1]
        within = sum(d <= radius for d in distance.values())
        total += digamma(len(rows)) - digamma(size) + digamma(near) - digamma(within)
    return total / len(rows)


def gaussian_classes(
    p: list[float], mean: list[float], sd: list[float], n_latent: int, n: int
) -> tuple[NDArray[np.float64], Codes]:
    rng = np.random.default_rng(0)
    batch_n = rng.choice(len(p), size=n, p=p)
    noise_nd = rng.normal(size=(n, n_latent))
    return np.array(mean)[batch_n, None] + np.array(sd)[batch_n, None] * noise_nd, batch_n


@pytest.mark.parametrize("n_latent", [1, 4])
@pytest.mark.parametrize("k", [1, 3])
def test_equals_explicit_loops(n_latent: int, k: int) -> None:
    rng = np.random.default_rng(k)
    z_nd, batch_n = rng.normal(size=(80, n_latent)), rng.integers(3, size=80)
    batch_n[:2] = 3  # fewer than k others
    batch_n[2] = 4  # nobody else: left out
    z_nd[:, 0] += batch_n
    assert mi_ross(z_nd, batch_n, k) == pytest.approx(ross_by_loops(z_nd, batch_n, k), abs=1e-12)


def test_singleton_batches_are_left_out() -> None:
    rng = np.random.default_rng(0)
    z_nd, batch_n = rng.normal(size=(50, 2)), np.arange(50) % 2
    with_singleton = np.append(batch_n, 2)
    assert mi_ross(np.append(z_nd, [[0.0, 0.0]], axis=0), with_singleton) == mi_ross(z_nd, batch_n)


def test_equals_sklearn_in_one_dimension() -> None:
    """On irregular distinct numbers, where sklearn's tie-breaking noise has nothing to break."""
    rng = np.random.default_rng(0)
    batch_n = rng.integers(4, size=400)
    z_nd = rng.normal(size=(400, 1)) + batch_n[:, None]
    reference = mutual_info_classif(z_nd, batch_n, discrete_features=False, n_neighbors=3, random_state=0)
    assert mi_ross(z_nd, batch_n) == pytest.approx(reference[0], abs=1e-6)


# p, means, sds, I in one and in four dimensions (nats, by quadrature)
TRUTH = [
    ([0.1176, 0.5882, 0.2942], [0.4, 0.5, 0.8], [0.2, 0.3, 0.25], 0.1423, 0.4177),
    ([0.3176, 0.3882, 0.2942], [0.4, 0.5, 0.8], [0.2, 0.3, 0.25], 0.1915, 0.5165),
    ([0.1, 0.3, 0.6], [0.3, 0.5, 0.9], [0.2, 0.3, 0.25], 0.2816, 0.6231),
    ([0.1, 0.3, 0.6], [3.0, 5.0, 9.0], [2.0, 3.0, 2.5], 0.2816, 0.6231),
    ([0.33, 0.33, 0.34], [3.0, 9.0, 18.0], [0.2, 0.3, 0.25], 1.0985, 1.0985),
]


@pytest.mark.parametrize(("p", "mean", "sd", "one", "four"), TRUTH)
def test_recovers_the_true_value(
    p: list[float], mean: list[float], sd: list[float], one: float, four: float
) -> None:
    assert mi_ross(*gaussian_classes(p, mean, sd, 1, 10_000)) == pytest.approx(one, abs=0.03)
    assert mi_ross(*gaussian_classes(p, mean, sd, 4, 10_000)) == pytest.approx(four, abs=0.03)


def test_does_not_depend_on_the_scale() -> None:
    z_nd, batch_n = gaussian_classes([0.3, 0.7], [0.0, 1.0], [1.0, 1.0], 3, 500)
    assert mi_ross(10 * z_nd, batch_n) == pytest.approx(mi_ross(z_nd, batch_n), abs=1e-12)


def test_independence_scatters_around_zero_without_clipping() -> None:
    rng = np.random.default_rng(0)
    estimates = [mi_ross(rng.normal(size=(300, 4)), rng.integers(2, size=300)) for _ in range(40)]
    assert min(estimates) < 0 < max(estimates)
    assert np.mean(estimates) == pytest.approx(0.0, abs=0.01)


def test_duplicates_of_a_cell_count_as_its_neighbours() -> None:
    z_nd = np.repeat(np.arange(10.0), 4)[:, None]
    batch_n = np.tile([0, 0, 1, 1], 10)
    assert mi_ross(z_nd, batch_n, 1) == pytest.approx(ross_by_loops(z_nd, batch_n, 1), abs=1e-12)


def test_a_sample_has_no_cell_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of all cells, in another order, is all cells."""
    z_nd, batch_n = gaussian_classes([0.3, 0.7], [0.0, 1.0], [1.0, 1.0], 3, 200)
    exact = mi_ross(z_nd, batch_n)
    monkeypatch.setattr("bie.metrics.neighbours.MOST_CELLS_EXACT", 199)
    monkeypatch.setattr("bie.metrics.dependence.SAMPLE", 200)
    assert mi_ross(z_nd, batch_n) == pytest.approx(exact, abs=1e-12)
