"""Nearest neighbours in the latent space, found once and shared by the metrics."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding

MOST_CELLS_EXACT = 200_000
"""The neighbours of all of so many cells are found within minutes; of more, those of a sample."""
SAMPLE = 50_000
"""Cells whose neighbours among all are found where there are too many to ask for those of each."""


class Neighbours(NamedTuple):
    """Other cells near each query, nearest first: their rows and Euclidean distances, ``(q, k)``."""

    index_qk: Codes
    distance_qk: NDArray[np.float64]


def is_exact(n_cells: int) -> bool:
    """Whether the neighbours of all of so many cells are found."""
    return n_cells <= MOST_CELLS_EXACT


def of_a_sample(z_nd: Embedding) -> str | None:
    """Caveat of metrics that rest on neighbours."""
    if is_exact(len(z_nd)):
        return None
    return f"around {SAMPLE:,} of {len(z_nd):,} cells, drawn at random"


def nearest(z_nd: Embedding, k: int, query_q: Codes | None = None) -> Neighbours:
    """Euclidean nearest neighbours among all other cells.

    A cell is no neighbour of its own, and is recognised by its row, not by its distance of 0: duplicates of a
    cell are neighbours like any other.

    Parameters
    ----------
    z_nd
        Latent vectors.
    k
        Number of neighbours, 1 to n - 1.
    query_q
        Rows of the cells whose neighbours are asked for; None: all.
    """
    from sklearn.neighbors import NearestNeighbors

    query_q = np.arange(len(z_nd)) if query_q is None else query_q
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(z_nd)
    distance_qj, index_qj = search.kneighbors(z_nd[query_q])
    drop = index_qj == query_q[:, None]
    drop[~drop.any(axis=1), -1] = True  # crowded out by its own duplicates
    index_qk: Codes = index_qj[~drop].reshape(-1, k)
    return Neighbours(index_qk, distance_qj[~drop].reshape(-1, k))
