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
