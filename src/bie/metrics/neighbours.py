"""Nearest neighbours in the latent space, found once and shared by the metrics."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding

MOST_CELLS_EXACT = 200_000
"""All pairs of so many cells are compared within minutes; of more, neighbours are searched for."""


class Neighbours(NamedTuple):
    """Other cells near each cell, nearest first: their rows and Euclidean distances, ``(n, k)``."""

    index_nk: Codes
    distance_nk: NDArray[np.float64]


def is_exact(n_cells: int) -> bool:
    """Whether `nearest` compares all pairs of so many cells."""
    return n_cells <= MOST_CELLS_EXACT


def searched(z_nd: Embedding) -> str | None:
    """Caveat of metrics that rest on neighbours."""
    if is_exact(len(z_nd)):
        return None
    return f"{len(z_nd):,} cells: neighbours by approximate search (pynndescent)"


def nearest(z_nd: Embedding, k: int, seed: int = 0, most_exact: int | None = None) -> Neighbours:
    """Euclidean nearest neighbours of every cell among the others.

    Exact up to `MOST_CELLS_EXACT` cells; beyond by nearest neighbour descent (Dong et al. 2011,
    doi:10.1145/1963405.1963487), on one thread, so that a seed gives the same neighbours again. A cell is no
    neighbour of its own, and is recognised by its row, not by its distance of 0: duplicates of a cell are
    neighbours like any other.

    Parameters
    ----------
    z_nd
        Latent vectors.
    k
        Number of neighbours, 1 to n - 1.
    seed
        Of the search where it is approximate.
    most_exact
        Another number than `MOST_CELLS_EXACT`.
    """
    is_few = len(z_nd) <= (MOST_CELLS_EXACT if most_exact is None else most_exact)
    search = _compared if is_few else _descended
    index_nj, distance_nj = search(z_nd, k + 1, seed)
    drop = index_nj == np.arange(len(z_nd))[:, None]
    drop[~drop.any(axis=1), -1] = True  # crowded out by its own duplicates
    index_nk: Codes = index_nj[~drop].reshape(-1, k)
    return Neighbours(index_nk, distance_nj[~drop].reshape(-1, k))


def _compared(z_nd: Embedding, k: int, seed: int) -> tuple[Codes, NDArray[np.float64]]:
    from sklearn.neighbors import NearestNeighbors

    distance_nk, index_nk = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(z_nd).kneighbors(z_nd)
    return index_nk, distance_nk


def _descended(z_nd: Embedding, k: int, seed: int) -> tuple[Codes, NDArray[np.float64]]:
    from pynndescent import NNDescent

    found = NNDescent(z_nd.astype(np.float32), n_neighbors=k, random_state=seed, n_jobs=1)
    index_nk, distance_nk = found.neighbor_graph
    return index_nk.astype(np.int64), distance_nk.astype(np.float64)
