import numpy as np
import pytest

from bie.metrics.neighbours import nearest


@pytest.mark.parametrize("n_latent", [1, 3, 30])
def test_equals_explicit_search(n_latent: int) -> None:
    z_nd = np.random.default_rng(n_latent).normal(size=(50, n_latent))
    neighbour_nk = nearest(z_nd, 7)
    for i in range(50):
        others = [j for j in range(50) if j != i]
        by_distance = sorted(others, key=lambda j, i=i: float(((z_nd[i] - z_nd[j]) ** 2).sum()))  # type: ignore[misc]
        assert neighbour_nk[i].tolist() == by_distance[:7]


@pytest.mark.parametrize("k", [1, 3, 9])
def test_no_cell_is_its_own_neighbour_among_duplicates(k: int) -> None:
    z_nd = np.repeat([[0.0, 0.0], [1.0, 0.0]], [8, 2], axis=0)
    neighbour_nk = nearest(z_nd, k)
    assert neighbour_nk.shape == (10, k)
    for i, row in enumerate(neighbour_nk.tolist()):
        assert i not in row
        assert len(set(row)) == k


def test_duplicates_are_the_nearest_neighbours() -> None:
    z_nd = np.array([[0.0], [5.0], [0.0], [5.0], [0.0], [9.0]])
    assert set(nearest(z_nd, 2)[0].tolist()) == {2, 4}
    assert nearest(z_nd, 1)[1].tolist() == [3]
