"""Transport between batches in units of chance."""

import numpy as np
import pytest

from bie.metrics import transport
from bie.metrics.transport import distance


def ot_ratio(z_nd: np.ndarray, batch_n: np.ndarray, label_n: np.ndarray, seed: int) -> float:
    return transport.ot_ratio(transport.ratios(z_nd, batch_n, label_n, seed))


def ratio(a_nd: np.ndarray, b_nd: np.ndarray) -> float:
    batch_n = np.repeat([0, 1], [len(a_nd), len(b_nd)])
    return ot_ratio(np.concatenate([a_nd, b_nd]), batch_n, np.zeros_like(batch_n), 0)


def test_batches_of_one_distribution_cost_what_chance_costs() -> None:
    rng = np.random.default_rng(0)
    assert ratio(rng.normal(size=(400, 4)), rng.normal(size=(300, 4))) == pytest.approx(1, abs=0.05)


def test_another_covariance_counts_where_the_means_are_equal() -> None:
    rng = np.random.default_rng(0)
    a_nd, b_nd = rng.normal(size=(400, 2)), rng.normal(size=(400, 2)) * np.array([3, 1 / 3])
    assert np.linalg.norm(a_nd.mean(axis=0) - b_nd.mean(axis=0)) < 0.3
    assert ratio(a_nd, b_nd) > 1.5


def test_points_on_a_line_move_in_order() -> None:
    a, b = np.array([[0.0], [1.0], [5.0]]), np.array([[2.0], [7.0], [1.0]])
    assert distance(a, b) == pytest.approx(np.abs(np.sort(a[:, 0]) - np.sort(b[:, 0])).mean())


def test_of_many_batches_each_is_moved_onto_the_others() -> None:
    rng = np.random.default_rng(0)
    batch_n = np.arange(300) % 3
    z_nd = rng.normal(size=(300, 3))
    mixed = ot_ratio(z_nd, batch_n, np.zeros_like(batch_n), 0)
    z_nd[batch_n == 2] += 10
    assert mixed == pytest.approx(1, abs=0.1)
    assert ot_ratio(z_nd, batch_n, np.zeros_like(batch_n), 0) > 3


def test_a_type_that_reacts_stands_out_from_one_that_does_not() -> None:
    rng = np.random.default_rng(0)
    label_n, batch_n = np.repeat([0, 2, 5], [200, 200, 12]), np.arange(412) % 2
    z_nd = rng.normal(size=(412, 3))
    z_nd[(label_n == 2) & (batch_n == 1)] += 2
    found = transport.ratios(z_nd, batch_n, label_n, 0)
    assert found.by_label.keys() == {0, 2}  # six cells of a side are too few
    assert found.by_label[0] == pytest.approx(1, abs=0.1)
    assert found.by_label[2] > 3
    assert transport.ot_ratio(found) == pytest.approx(np.mean(list(found.by_label.values())))


def test_of_many_batches_a_type_has_the_mean_over_them() -> None:
    found = transport.Ratios(np.array([1, 1, 4]), np.array([1.0, 3.0, 1.5]))
    assert found.by_label == {1: 2.0, 4: 1.5}


def test_batches_without_spread_are_the_same_or_infinitely_apart() -> None:
    assert ratio(np.zeros((20, 2)), np.zeros((20, 2))) == 1
    assert ratio(np.zeros((20, 2)), np.ones((20, 2))) == np.inf


def test_chance_is_that_of_the_side_that_spreads_more() -> None:
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(size=(400, 3)) / 10, rng.normal(size=(400, 3))
    one, other = ratio(narrow, wide), ratio(wide, narrow)
    assert one == pytest.approx(other, rel=0.1)
    assert one == pytest.approx(
        distance(narrow[:200], wide[:200]) / distance(wide[:200], wide[200:]), rel=0.1
    )


def test_in_ten_dimensions_a_wider_batch_hides_behind_its_own_spread() -> None:
    """A limit of the larger null, said in the docstring: it holds for two dimensions, not for ten."""
    rng = np.random.default_rng(0)
    plane, ten = (ratio(rng.normal(size=(400, d)), 2 * rng.normal(size=(400, d))) for d in (2, 10))
    assert plane > 1.5
    assert ten == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("sizes", "n_groups"), [([10, 10], 1), ([10, 9], 0), ([10, 10, 10], 3), ([10, 5, 5], 1)]
)
def test_groups_are_batches_of_ten_cells_against_the_others(sizes: list[int], n_groups: int) -> None:
    batch_n = np.repeat(np.arange(len(sizes)), sizes)
    label_n, is_there = np.zeros_like(batch_n), transport.ot_ratio.needs[1]
    z_nd = np.random.default_rng(0).normal(size=(len(batch_n), 2))
    assert len(transport.ratios(z_nd, batch_n, label_n, 0).ratio_g) == n_groups
    assert (is_there(batch_n, label_n) is None) == (n_groups > 0)


@pytest.mark.parametrize("n_types", [40, 41])
def test_of_very_many_groups_a_sample_is_compared_and_said(n_types: int) -> None:
    label_n, batch_n = np.repeat(np.arange(n_types), 20), np.tile([0, 1], 10 * n_types)
    z_nd = np.random.default_rng(0).normal(size=(len(batch_n), 2))
    found, (caveat,) = transport.ratios(z_nd, batch_n, label_n, 0), transport.ot_ratio.caveats
    assert len(set(found.label_g.tolist())) == len(found.ratio_g) == 40
    assert caveat(batch_n, label_n) == (None if n_types == 40 else "40 of 41 groups, drawn at random")


@pytest.mark.parametrize(("n_own", "n_rest", "size"), [(450, 402, 200), (401, 900, 200), (21, 30, 10)])
def test_ten_draws_of_cells_of_which_none_is_on_two_sides(
    n_own: int, n_rest: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def recorded(a_nd, b_nd):
        pairs.append((a_nd[:, 0], b_nd[:, 0]))
        return len(pairs) % 3  # apart 1, among its own 2, among the others 0

    monkeypatch.setattr(transport, "distance", recorded)
    z_nd, batch_n = np.arange(float(n_own + n_rest))[:, None], np.repeat([0, 1], [n_own, n_rest])
    found = transport.ratios(z_nd, batch_n, np.zeros_like(batch_n), 0)
    assert len(pairs) == 3 * 10
    assert all(len(set(a) | set(b)) == 2 * size == 2 * len(a) for a, b in pairs)
    sides = [(int(a.min() >= n_own), int(b.max() >= n_own)) for a, b in pairs]
    assert sides == [(0, 1), (0, 0), (1, 1)] * 10
    assert len({tuple(a) for a, _ in pairs}) == 20  # the half that is moved is that of the first of the null
    assert found.ratio_g == pytest.approx([1 / 2])  # of 1 and the larger of 2 and 0


def test_it_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, is_there, _ = transport.ot_ratio.needs
    (caveat,) = transport.ot_ratio.caveats
    assert is_there(np.zeros(9, np.int64), None) == "no labels"
    assert caveat(np.zeros(9, np.int64), None) is None
    batch_n, label_n = np.repeat([0, 1], [10, 9]), np.zeros(19, np.int64)
    assert is_there(batch_n, label_n) == "no cell type with 10 cells of each of two batches"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert is_there(batch_n, label_n) == "POT is not installed: pip install 'bie[ot]'"
