"""Neighbourhoods by loops and by hand; beside scib-metrics in test_oracles.py."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chisquare

from bie.metrics import neighbourhoods
from bie.metrics.neighbourhoods import (
    acceptance,
    clisi,
    graph_connectivity,
    ilisi,
    kbet,
    knn_purity,
    lisi,
    perplexity_weights,
)


def weights_by_search(distance_k: NDArray[np.float64]) -> NDArray[np.float64]:
    """The definition: the exponent at which the entropy is that of a third of the neighbours."""

    def weights(beta: float) -> NDArray[np.float64]:
        weight_k = np.exp(-beta * (distance_k - distance_k.min()))
        return np.asarray(weight_k / weight_k.sum())

    def excess(beta: float) -> float:
        p = weights(beta)
        return float(-(p * np.log(np.where(p > 0, p, 1))).sum()) - math.log((len(p) + 1) // 3)

    return weights(brentq(excess, 1e-9, 1e9, xtol=1e-13))


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("k", [8, 30])
def test_a_third_of_the_neighbours_counts(unit: float, k: int) -> None:
    distance_nk = unit * np.sort(np.random.default_rng(k).uniform(1, 3, (20, k)), axis=1)
    weight_qk = perplexity_weights(distance_nk)
    assert weight_qk.sum(axis=1) == pytest.approx(np.ones(20))
    expected = np.array([weights_by_search(row) for row in distance_nk])
    np.testing.assert_allclose(weight_qk, expected, atol=2e-5)


def test_neighbours_at_one_distance_count_alike() -> None:
    """No exponent gives the entropy that is looked for: the search ends all the same."""
    distance_nk = np.array([[2.0] * 8, [1, 2, 3, 4, 5, 6, 7, 8.0]])
    weight_qk = perplexity_weights(distance_nk)
    np.testing.assert_allclose(weight_qk[0], 1 / 8)
    np.testing.assert_allclose(weight_qk[1], weights_by_search(distance_nk[1]), atol=2e-5)


def test_lisi_is_the_effective_number_of_groups() -> None:
    """1 / (1/2^2 + 1/4^2 + 1/4^2) of three groups, 1 of one, 2 of two; the fourth is nobody's neighbour."""
    code_n = np.array([0, 1, 2, 0, 3])
    weight_qk = np.array(
        [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.5, 0.0, 0.5], [0.5, 0.5, 0], [0.4, 0.3, 0.3]]
    )
    neighbour_qk = np.array([[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 3, 4], [0, 1, 2, 4], [0, 3, 0, 1]])
    found = lisi(weight_qk, neighbour_qk, code_n)
    assert found == pytest.approx([8 / 3, 1 / (0.75**2 + 0.25**2), 1, 2, 1])


def test_scaled_from_one_group_to_all_alike() -> None:
    code_n = np.array([0, 1, 2, 0])
    alone, all_alike = np.array([[1.0, 0, 0]] * 4), np.full((4, 3), 1 / 3)
    neighbour_qk = np.array([[0, 1, 2]] * 4)
    assert (ilisi(alone, neighbour_qk, code_n), clisi(alone, neighbour_qk, code_n)) == (0, 1)
    assert ilisi(all_alike, neighbour_qk, code_n) == pytest.approx(1)
    assert clisi(all_alike, neighbour_qk, code_n) == pytest.approx(0)
    half = np.array([[0.5, 0.5, 0.0]] * 3 + [[1.0, 0, 0]])  # the median is 2 of 3
    assert ilisi(half, neighbour_qk, code_n) == pytest.approx(0.5)
    assert clisi(half, neighbour_qk, code_n) == pytest.approx(0.5)


def test_connected_is_what_is_reached_there_and_back() -> None:
    neighbour_qk = np.array([[1], [2], [0], [0], [5], [4], [4]])
    # of the first type three in a ring and one that is nobody's neighbour, of the second two and one
    assert graph_connectivity(neighbour_qk, np.array([0, 0, 0, 0, 7, 7, 7])) == pytest.approx(
        (3 / 4 + 2 / 3) / 2
    )
    # a ring through another type does not count
    assert graph_connectivity(neighbour_qk[:4], np.array([0, 1, 0, 0])) == pytest.approx((1 / 3 + 1) / 2)


def test_connected_through_fourteen_neighbours() -> None:
    """Two halves whose cells have their own first, and one of the others as the 14th, or as the 15th."""
    own = np.arange(30) % 2
    near = [[j for j in range(30) if j != i and own[j] == own[i]] for i in range(30)]
    far = [[(i + 1) % 30] for i in range(30)]
    one_of_others = np.array([a[:13] + b + a[13:] for a, b in zip(near, far, strict=True)])
    too_late = np.array([a[:14] + b for a, b in zip(near, far, strict=True)])
    label_n = np.zeros(30, np.int64)
    assert graph_connectivity(one_of_others, label_n) == 1
    assert graph_connectivity(too_late, label_n) == 0.5


def purity(neighbour_qk: NDArray[np.int64], label_n: NDArray[np.int64]) -> float:
    return knn_purity(neighbour_qk, label_n, label_n)  # all cells are asked


def test_purity_is_a_mean_over_cells_and_then_over_types() -> None:
    neighbour_qk = np.array([[1, 2, 3], [0, 3, 2], [3, 0, 1], [2, 4, 0], [0, 1, 2]])
    label_n = np.array([0, 0, 0, 2, 2])
    # of three the first two neighbours, of two the first
    assert purity(neighbour_qk, label_n) == pytest.approx(((1 + 1 / 2 + 1 / 2) / 3 + (0 + 0) / 2) / 2)
    assert purity(neighbour_qk, np.array([0, 0, 0, 2, 3])) == pytest.approx(2 / 3)  # no type of one cell


def test_purity_asks_thirty_neighbours() -> None:
    neighbour_qk = np.tile(np.arange(40), (40, 1))
    label_n = np.repeat([0, 1], [35, 5])
    pure = np.repeat([0, 1], [30, 10])
    assert purity(neighbour_qk, label_n) == pytest.approx((1 + 0) / 2)
    assert purity(neighbour_qk, 1 - pure) == pytest.approx((29 / 29 + 0) / 2)
    assert purity(np.roll(neighbour_qk, 5, axis=1), label_n) == pytest.approx((25 / 30 + 4 / 4) / 2)


def test_purity_of_a_sample_is_that_of_the_cells_drawn() -> None:
    label_n = np.array([0, 0, 0, 2, 2, 5, 5])
    query_q = np.array([1, 3])  # none of type 5
    neighbour_qk = np.array([[0, 3, 2], [2, 4, 0]])
    assert knn_purity(neighbour_qk, label_n, label_n[query_q]) == pytest.approx((1 / 2 + 0) / 2)


def acceptance_by_loops(z_nd: NDArray[np.float64], batch_n: NDArray[np.int64], k: int) -> float:
    present, sizes = np.unique(batch_n, return_counts=True)
    passed = 0
    for i in range(len(z_nd)):
        near = np.argsort(((z_nd - z_nd[i]) ** 2).sum(1), kind="stable")[: k + 1]  # itself among them
        observed = [(batch_n[near] == b).sum() for b in present]
        passed += chisquare(observed, sizes / len(z_nd) * (k + 1)).pvalue >= 0.05
    return passed / len(z_nd)


@pytest.mark.parametrize(
    ("n_cells", "n_batches", "k"),
    [(10, 2, 9), (11, 2, 10), (60, 2, 10), (100, 2, 12), (103, 2, 12), (150, 3, 12), (600, 2, 70)],
)
def test_acceptance_is_that_of_pearsons_test(n_cells: int, n_batches: int, k: int) -> None:
    rng = np.random.default_rng(n_cells)
    batch_n = 2 * (np.arange(n_cells) % n_batches)  # codes with gaps
    z_nd = (
        rng.normal(size=(n_cells, 2)) + 0.4 * batch_n[:, None] * (np.arange(n_cells) < n_cells / 2)[:, None]
    )
    found = acceptance(z_nd, batch_n)
    assert found == pytest.approx(acceptance_by_loops(z_nd, batch_n, k))
    assert n_cells < 60 or 0 < found < 1


@pytest.mark.parametrize(("n_cells", "passed"), [(10, 1), (16, 1), (24, 0)])
def test_kbet_is_blind_in_few_cells(n_cells: int, passed: float) -> None:
    z_nd, batch_n = np.random.default_rng(0).normal(size=(n_cells, 3)), np.arange(n_cells) % 2
    assert acceptance(z_nd + 50 * batch_n[:, None], batch_n) == passed


def test_kbet_is_a_mean_over_types_of_ten_cells_and_two_batches() -> None:
    rng = np.random.default_rng(0)
    label_n = np.repeat([0, 1, 2, 3], [40, 10, 9, 30])
    batch_n = np.arange(89) % 2
    batch_n[label_n == 3] = 0
    z_nd = rng.normal(size=(89, 3))
    z_nd[(label_n == 0) & (batch_n == 1)] += 9
    kept = [acceptance(z_nd[label_n == label], batch_n[label_n == label]) for label in (0, 1)]
    assert kept[0] < 0.2 < 0.8 < kept[1]
    assert kbet(z_nd, batch_n, label_n, 0) == pytest.approx(np.mean(kept))


def test_kbet_says_why_it_has_no_type_to_test() -> None:
    _, testable, _ = kbet.needs
    batch_n = np.arange(10) % 2
    assert testable(batch_n, np.zeros(10, np.int64)) is None
    few = "no cell type with 10 cells and two batches"
    assert testable(batch_n[:9], np.zeros(9, np.int64)) == few
    assert testable(batch_n * 0, np.zeros(10, np.int64)) == few
    assert testable(batch_n, None) == "no labels"


def test_of_a_large_set_only_a_sample_of_a_large_type_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell of the sample as where all are tested: among all cells of the type."""
    rng = np.random.default_rng(0)
    z_nd, batch_n, label_n = (
        rng.normal(size=(900, 3)),
        rng.integers(2, size=900),
        np.repeat([0, 1], [600, 300]),
    )
    z_nd[:, 0] += 1.5 * batch_n
    exact = [acceptance(z_nd[label_n == label], batch_n[label_n == label]) for label in (0, 1)]
    monkeypatch.setattr(neighbourhoods, "SAMPLE_OF_A_TYPE", 400)
    assert kbet(z_nd, batch_n, label_n, 5) == pytest.approx(
        np.mean(exact), abs=1e-12
    )  # of a set that is not large
    monkeypatch.setattr("bie.metrics.neighbours.MOST_CELLS_EXACT", 899)
    found = kbet(z_nd, batch_n, label_n, 5)
    drawn = acceptance(z_nd[:600], batch_n[:600], np.random.default_rng(5))
    assert drawn != exact[0]
    assert drawn == pytest.approx(exact[0], abs=0.05)
    assert found == pytest.approx((drawn + exact[1]) / 2)  # the smaller type as a whole
    monkeypatch.setattr(neighbourhoods, "SAMPLE_OF_A_TYPE", 599)
    nearly_all = acceptance(z_nd[:600], batch_n[:600], np.random.default_rng(5))
    assert abs(nearly_all - exact[0]) <= 1 / 599  # one of them is not asked
