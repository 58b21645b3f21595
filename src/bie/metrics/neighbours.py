"""Nearest neighbours in the latent space, found once and shared by the metrics."""

import numpy as np

from bie.metrics.metric import Codes, Embedding


def nearest(z_nd: Embedding, k: int) -> Codes:
    """Exact Euclidean nearest neighbours of every cell among the others.

    A cell is no neighbour of its own, and is recognised by its row, not by its distance of 0: duplicates
    of a cell are neighbours like any other.

    Parameters
    ----------
    z_nd
        Latent vectors.
    k
        Number of neighbours, 1 to n - 1.

    Returns
    -------
    NDArray[int64]
        ``neighbour_nk``: rows of the neighbours, nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(z_nd)
    found: Codes = search.kneighbors(z_nd, return_distance=False)
    drop = found == np.arange(len(z_nd))[:, None]
    drop[~drop.any(axis=1), -1] = True  # crowded out by its own duplicates
    neighbour_nk: Codes = found[~drop].reshape(-1, k)
    return neighbour_nk
