import numpy as np
import pytest

from bie.metrics.mixing import be
from bie.metrics.neighbours import nearest


@pytest.mark.parametrize("n_latent", [1, 3, 30])
def test_equals_explicit_search(n_latent: int) -> None:
    z_nd = np.random.default_rng(n_latent).normal(size=(50, n_latent))
    neighbour_nk, distance_nk = nearest(z_nd, 7)
    for i in range(50):
        others = [j for j in range(50) if j != i]
        by_distance = sorted(others, key=lambda j, i=i: float(((z_nd[i] - z_nd[j]) ** 2).sum()))  # type: ignore[misc]
        assert neighbour_nk[i].tolist() == by_distance[:7]
        expected = np.linalg.norm(z_nd[i] - z_nd[by_distance[:7]], axis=1)
        np.testing.assert_allclose(distance_nk[i], expected, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_no_cell_is_its_own_neighbour_among_duplicates(k: int) -> None:
    z_nd = np.repeat([[0.0, 0.0], [1.0, 0.0]], [8, 2], axis=0)
    neighbour_nk = nearest(z_nd, k).index_nk
    assert neighbour_nk.shape == (10, k)
    for i, row in enumerate(neighbour_nk.tolist()):
        assert i not in row
        assert len(set(row)) == k


def test_duplicates_are_the_nearest_neighbours() -> None:
    z_nd = np.array([[0.0], [5.0], [0.0], [5.0], [0.0], [9.0]])
    assert set(nearest(z_nd, 2).index_nk[0].tolist()) == {2, 4}
    assert nearest(z_nd, 1).index_nk[1].tolist() == [3]


def test_an_approximate_search_finds_nearly_all_and_the_same_again() -> None:
    rng = np.random.default_rng(0)
    z_nd, batch_n = rng.normal(size=(3000, 5)), rng.integers(2, size=3000)
    z_nd[:, 0] += batch_n
    exact, found, again = (nearest(z_nd, 50, seed=3, most_exact=most) for most in (3000, 0, 0))
    np.testing.assert_array_equal(found.index_nk, again.index_nk)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.index_nk, found.index_nk, strict=True)]
    assert np.mean(shared) > 0.98 * 50
    entropies = [be(near.index_nk, batch_n, 2, np.arange(3000)) for near in (exact, found)]
    assert entropies[0] == pytest.approx(entropies[1], abs=0.005)
    assert not (found.index_nk == np.arange(3000)[:, None]).any()
