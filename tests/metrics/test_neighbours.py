import numpy as np
import pytest

from bie.metrics.neighbours import nearest, of_a_sample


@pytest.mark.parametrize("n_latent", [1, 3, 30])
def test_equals_explicit_search(n_latent: int) -> None:
    z_nd = np.random.default_rng(n_latent).normal(size=(50, n_latent))
    neighbour_qk, distance_qk = nearest(z_nd, 7)
    for i in range(50):
        others = [j for j in range(50) if j != i]
        by_distance = sorted(others, key=lambda j, i=i: float(((z_nd[i] - z_nd[j]) ** 2).sum()))  # type: ignore[misc]
        assert neighbour_qk[i].tolist() == by_distance[:7]
        expected = np.linalg.norm(z_nd[i] - z_nd[by_distance[:7]], axis=1)
        np.testing.assert_allclose(distance_qk[i], expected, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_no_cell_is_its_own_neighbour_among_duplicates(k: int) -> None:
    z_nd = np.repeat([[0.0, 0.0], [1.0, 0.0]], [8, 2], axis=0)
    neighbour_qk = nearest(z_nd, k).index_qk
    assert neighbour_qk.shape == (10, k)
    for i, row in enumerate(neighbour_qk.tolist()):
        assert i not in row
        assert len(set(row)) == k


def test_duplicates_are_the_nearest_neighbours() -> None:
    z_nd = np.array([[0.0], [5.0], [0.0], [5.0], [0.0], [9.0]])
    assert set(nearest(z_nd, 2).index_qk[0].tolist()) == {2, 4}
    assert nearest(z_nd, 1).index_qk[1].tolist() == [3]


def test_some_are_asked_for_theirs_among_all() -> None:
    z_nd = np.random.default_rng(0).normal(size=(300, 4))
    z_nd[200:] = z_nd[:100]  # duplicates
    all_of_them, asked = nearest(z_nd, 12), np.array([3, 7, 207, 299])
    some = nearest(z_nd, 12, asked)
    np.testing.assert_array_equal(some.index_qk, all_of_them.index_qk[asked])
    np.testing.assert_allclose(some.distance_qk, all_of_them.distance_qk[asked], atol=1e-7)


def test_of_more_than_200000_cells_a_sample_is_asked_and_it_is_said() -> None:
    assert of_a_sample(np.empty((200_000, 1))) is None
    assert of_a_sample(np.empty((200_001, 1))) == "around 50,000 of 200,001 cells, drawn at random"
