"""Silhouette widths, exact, in memory that grows with the number of cells and not with its square."""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding

_TILE = 256  # cells: 256 x 256 distances and what they are made of stay in the processor's cache


def silhouette_widths(z_nd: Embedding, code_n: Codes) -> NDArray[np.float64]:
    """Silhouette width of each cell within a grouping.

    ``(b_i - a_i) / max(a_i, b_i)``, where a_i is the mean Euclidean distance of cell i to the other cells of
    its group and b_i the least mean distance to the cells of another group; 0 for a cell that is the only one
    of its group (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7).

    Parameters
    ----------
    z_nd
        Latent vectors, not all equal.
    code_n
        Group of each cell, two or more; codes without a cell are no groups.

    Returns
    -------
    NDArray[float64]
        ``width_n``, -1 to 1.
    """
    _, group_n, size_g = np.unique(code_n, return_inverse=True, return_counts=True)
    total_ng = _distances_to_groups(z_nd - z_nd.mean(axis=0), group_n, len(size_g))
    own = np.arange(len(z_nd)), group_n
    within_n = total_ng[own] / np.maximum(size_g[group_n] - 1, 1)
    mean_ng = total_ng / size_g
    mean_ng[own] = np.inf
    between_n = mean_ng.min(axis=1)
    larger_n = np.maximum(within_n, between_n)
    width_n = np.divide(between_n - within_n, larger_n, out=np.zeros(len(z_nd)), where=larger_n > 0)
    return np.where(size_g[group_n] > 1, width_n, 0.0)


def _distances_to_groups(z_nd: Embedding, group_n: Codes, n_groups: int) -> NDArray[np.float64]:
    """Sum of the distances of each cell to the cells of each group; each pair is looked at once."""
    n_cells = len(z_nd)
    member_ng = np.zeros((n_cells, n_groups))
    member_ng[np.arange(n_cells), group_n] = 1
    square_n1, one_n1 = (z_nd**2).sum(axis=1, keepdims=True), np.ones((n_cells, 1))
    left_nd = np.hstack([-2 * z_nd, square_n1, one_n1])
    right_nd = np.hstack([z_nd, one_n1, square_n1])  # left_i . right_j = |z_i - z_j|^2
    total_ng = np.zeros((n_cells, n_groups))
    tiles = [slice(start, start + _TILE) for start in range(0, n_cells, _TILE)]
    for i, rows in enumerate(tiles):
        for columns in tiles[i:]:
            distance = left_nd[rows] @ right_nd[columns].T
            np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
            if columns == rows:
                np.fill_diagonal(distance, 0)
            else:
                total_ng[columns] += distance.T @ member_ng[rows]
            total_ng[rows] += distance @ member_ng[columns]
    return total_ng
