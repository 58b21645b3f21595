"""Silhouette widths in memory that grows with the number of cells and not with its square.

They are those of all cells as long as ten minutes reach; of more cells, those of a sample, each of which is
still compared with all cells, so that only the mean over the cells has an error, and that is known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding

_TILE = 256  # cells: 256 x 256 distances and what they are made of stay in the processor's cache
MOST_PAIRS = 8 * 10**10
"""Pairs of cells that are compared within about ten minutes on one thread: all of 400,000 cells."""
FEWEST_ROWS = 1000  # of a sample, whatever it takes


@dataclass(frozen=True)
class Widths:
    """Silhouette widths of some cells that stand for all of a grouping.

    Attributes
    ----------
    width_m, row_m
        Widths, -1 to 1, and of which cells.
    weight_m
        For how many cells each stands.
    group_m
        Stratum of each, within which it was drawn at random.
    is_sample
        Whether these are not all cells.
    """

    width_m: NDArray[np.float64]
    row_m: Codes
    weight_m: NDArray[np.float64]
    group_m: Codes
    is_sample: bool

    def mean(self) -> float:
        """Mean width of all cells, an estimate of it where these are a sample."""
        return float(np.average(self.width_m, weights=self.weight_m))

    def standard_error(self) -> float:
        """Of the `mean` of a stratified sample (Cochran 1977, eq. 5.11, without the finite correction)."""
        total, variance = self.weight_m.sum(), 0.0
        for group in np.unique(self.group_m):
            own = self.group_m == group
            if own.sum() > 1:
                share = self.weight_m[own].sum() / total
                variance += share**2 * self.width_m[own].var(ddof=1) / own.sum()
        return float(np.sqrt(variance))


def sampled(label_widths: Widths) -> str | None:
    """Caveat of metrics that rest on silhouettes of the labels."""
    if not label_widths.is_sample:
        return None
    n, error = len(label_widths.row_m), label_widths.standard_error()
    return f"from {n:,} cells drawn within types, each beside all others: standard error {error:.2g}"


def widths_of(z_nd: Embedding, code_n: Codes, seed: int) -> Widths:
    """Silhouette widths of all cells, or of a sample within groups where all would take too long.

    Parameters
    ----------
    z_nd, code_n
        As for `silhouette_widths`.
    seed
        Of the sample.
    """
    n_cells = len(z_nd)
    if n_cells * (n_cells + 1) // 2 <= MOST_PAIRS:
        row_m = np.arange(n_cells)
        return Widths(silhouette_widths(z_nd, code_n), row_m, np.ones(n_cells), code_n, False)
    row_m, weight_m = stratified(code_n, max(MOST_PAIRS // n_cells, FEWEST_ROWS), seed)
    width_m = silhouette_widths(z_nd, code_n, row_m)
    return Widths(width_m, row_m, weight_m, code_n[row_m], True)


def stratified(code_n: Codes, n_rows: int, seed: int) -> tuple[Codes, NDArray[np.float64]]:
    """Rows drawn without replacement from each group, 30 at least, and how many cells each stands for."""
    rng = np.random.default_rng(seed)
    rows, weights = [], []
    for group in np.unique(code_n):
        own = np.flatnonzero(code_n == group)
        n_drawn = min(len(own), max(30, round(n_rows * len(own) / len(code_n))))
        rows.append(np.sort(rng.choice(own, n_drawn, replace=False)))
        weights.append(np.full(n_drawn, len(own) / n_drawn))
    return np.concatenate(rows), np.concatenate(weights)


def silhouette_widths(z_nd: Embedding, code_n: Codes, row_m: Codes | None = None) -> NDArray[np.float64]:
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
    row_m
        Cells whose widths are wanted; None: all.

    Returns
    -------
    NDArray[float64]
        ``width_m``, -1 to 1.
    """
    _, group_n, size_g = np.unique(code_n, return_inverse=True, return_counts=True)
    total_mg = _distances_to_groups(z_nd - z_nd.mean(axis=0), group_n, len(size_g), row_m)
    group_m = group_n if row_m is None else group_n[row_m]
    own = np.arange(len(group_m)), group_m
    within_m = total_mg[own] / np.maximum(size_g[group_m] - 1, 1)
    mean_mg = total_mg / size_g
    mean_mg[own] = np.inf
    between_m = mean_mg.min(axis=1)
    larger_m = np.maximum(within_m, between_m)
    width_m = np.divide(between_m - within_m, larger_m, out=np.zeros(len(group_m)), where=larger_m > 0)
    return np.where(size_g[group_m] > 1, width_m, 0.0)


def _distances_to_groups(
    z_nd: Embedding, group_n: Codes, n_groups: int, row_m: Codes | None
) -> NDArray[np.float64]:
    """Sum of the distances of some cells, or of all, to the cells of each group."""
    member_ng = np.zeros((len(z_nd), n_groups))
    member_ng[np.arange(len(z_nd)), group_n] = 1
    square_n1, one_n1 = (z_nd**2).sum(axis=1, keepdims=True), np.ones((len(z_nd), 1))
    left_md = np.hstack([-2 * z_nd, square_n1, one_n1])
    right_nd = np.hstack([z_nd, one_n1, square_n1])  # left_i . right_j = |z_i - z_j|^2
    index_m = np.arange(len(z_nd)) if row_m is None else row_m
    left_md = left_md[index_m]
    total_mg = np.zeros((len(index_m), n_groups))
    for rows in _tiles(len(index_m)):
        for columns in _tiles(len(z_nd), rows.start if row_m is None else 0):
            distance = left_md[rows] @ right_nd[columns].T
            np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
            if row_m is not None or columns == rows:  # rounding would leave a cell at a distance from itself
                distance[index_m[rows, None] == np.arange(columns.start, columns.stop)] = 0
            if row_m is None and columns != rows:
                total_mg[columns] += distance.T @ member_ng[rows]
            total_mg[rows] += distance @ member_ng[columns]
    return total_mg


def _tiles(n: int, start: int = 0) -> list[slice]:
    return [slice(begin, min(begin + _TILE, n)) for begin in range(start, n, _TILE)]
