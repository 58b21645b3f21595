import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bie.metrics import neighbours
from bie.metrics.mixing import be
from bie.metrics.neighbours import nearest, searched


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


def test_of_more_than_200000_cells_neighbours_are_searched_and_it_is_said() -> None:
    assert searched(np.empty((200_000, 1))) is None
    said = "200,001 cells: neighbours by approximate search (pynndescent)"
    assert searched(np.empty((200_001, 1))) == said


def test_the_search_is_chosen_by_the_number_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, compared = [], neighbours._compared

    def recorded(name):
        def search(z_nd, k, seed):
            asked.append((name, k, seed))
            return compared(z_nd, k, seed)

        return search

    for name in ("compared", "descended"):
        monkeypatch.setattr(neighbours, f"_{name}", recorded(name))
    monkeypatch.setattr(neighbours, "MOST_CELLS_EXACT", 6)
    z_nd = np.arange(6.0)[:, None]
    for given in ({}, {"most_exact": 5, "seed": 8}, {"most_exact": 6}):
        assert nearest(z_nd, 2, **given).index_nk.shape == (6, 2)
    nearest(np.arange(7.0)[:, None], 2)
    assert asked == [("compared", 3, 0), ("descended", 3, 8), ("compared", 3, 0), ("descended", 3, 0)]


def test_an_approximate_search_runs_on_one_thread_by_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def descent(z_nd, **settings):
        given.update(settings, dtype=z_nd.dtype.name)
        rows = np.arange(len(z_nd), dtype=np.int32)
        return SimpleNamespace(neighbor_graph=(np.stack([rows, rows[::-1]], 1), np.ones((4, 2), np.float32)))

    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=descent))
    found = nearest(np.arange(4.0)[:, None], 1, seed=5, most_exact=0)
    assert given == {"n_neighbors": 2, "random_state": 5, "n_jobs": 1, "dtype": "float32"}
    assert found.index_nk.tolist() == [[3], [2], [1], [0]]
    assert (found.index_nk.dtype.name, found.distance_nk.dtype.name) == ("int64", "float64")
