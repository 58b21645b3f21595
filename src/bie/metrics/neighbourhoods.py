"""Who lives near whom: batches and cell types among the nearest neighbours, as scIB asks (Luecken et al.
2022).

Numbers of neighbours and scaling are those of scib-metrics. It counts a cell among its own neighbours, so
that its 90 are 89 others.
"""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import labelled, mixed_type, not_collapsed, ten_cells, two_batches, two_labels
from bie.metrics.neighbours import is_exact, nearest, searched

LISI_NEIGHBOURS = 89
GRAPH_NEIGHBOURS = 14
PURITY_NEIGHBOURS = 30
MOST_OF_A_TYPE_EXACT = 20_000  # where there are too many cells for a search by comparison

_KORSUNSKY = "Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0"
_BUETTNER = "Büttner et al. 2019, doi:10.1038/s41592-018-0254-1"
_LUECKEN = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"
_SCVI = "Lopez et al. 2018, doi:10.1038/s41592-018-0229-2"


def perplexity_weights(distance_nk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the neighbours of each cell, falling with distance such that a third of them counts.

    ``w_ij ~ exp(-beta_i d_ij)`` with beta_i such that the entropy of the weights is ln((k + 1) // 3), found
    by bisection to 1e-5 in 50 steps at most (van der Maaten & Hinton 2008; Korsunsky et al. 2019).

    Returns
    -------
    NDArray[float64]
        ``weight_nk``, rows sum to 1.
    """
    target = np.log((distance_nk.shape[1] + 1) // 3)
    gap_nk = distance_nk - distance_nk[:, :1]  # the factor that this takes out of all weights cancels
    beta_n, low_n, high_n = (np.full(len(gap_nk), start) for start in (1.0, -np.inf, np.inf))
    weight_nk, entropy_n = _softmax(gap_nk, beta_n)
    open_n = np.flatnonzero(np.abs(entropy_n - target) >= 1e-5)
    for _ in range(50):
        if not len(open_n):
            break
        wide = entropy_n[open_n] > target
        low_n[open_n[wide]], high_n[open_n[~wide]] = beta_n[open_n[wide]], beta_n[open_n[~wide]]
        low, high, beta = low_n[open_n], high_n[open_n], beta_n[open_n]
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        beta_n[open_n] = np.where(np.isinf(high), beta * 2, np.where(np.isinf(low), beta / 2, middle))
        weight_nk[open_n], entropy_n[open_n] = _softmax(gap_nk[open_n], beta_n[open_n])
        open_n = open_n[np.abs(entropy_n[open_n] - target) >= 1e-5]
    return weight_nk


def _softmax(gap_nk: NDArray[np.float64], beta_n: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Weights and their entropy."""
    weight_nk = np.exp(-gap_nk * beta_n[:, None])
    total_n = weight_nk.sum(axis=1)
    entropy_n = np.log(total_n) + beta_n * (gap_nk * weight_nk).sum(axis=1) / total_n
    return weight_nk / total_n[:, None], entropy_n


def lisi(weight_nk: NDArray[np.float64], neighbour_nk: Codes, code_n: Codes) -> NDArray[np.float64]:
    """Local inverse Simpson's index of each cell, 1 to the number of groups (Korsunsky et al. 2019).

    ``1 / sum_g (sum_j w_ij [g_j = g])^2``: how many groups there are effectively among the neighbours.
    """
    n_cells, k = weight_nk.shape
    n_groups = int(code_n.max()) + 1
    flat_nk = np.arange(n_cells)[:, None] * n_groups + code_n[neighbour_nk[:, :k]]
    share_ng = np.bincount(flat_nk.ravel(), weight_nk.ravel(), minlength=n_cells * n_groups)
    return np.asarray(1 / (share_ng.reshape(n_cells, n_groups) ** 2).sum(axis=1))


@metric(
    Card("iLISI", "higher", (0.0, 1.0), "", _KORSUNSKY),
    two_batches,
    ten_cells,
    not_collapsed,
    caveats=(searched,),
)
def ilisi(lisi_weight_nk: NDArray[np.float64], neighbour_nk: Codes, batch_n: Codes) -> float:
    """How many batches there are effectively in the neighbourhood of a cell, scaled: 0 one, 1 all equally.

    ``(median_i LISI_i - 1) / (B - 1)``. Its maximum for unequal batches is below 1: with shares p and 1 - p
    of two it is about ``1 / (p^2 + (1 - p)^2) - 1``.
    """
    n_batches = len(np.unique(batch_n))
    return float((np.median(lisi(lisi_weight_nk, neighbour_nk, batch_n)) - 1) / (n_batches - 1))


@metric(
    Card("cLISI", "higher", (0.0, 1.0), "", _KORSUNSKY),
    two_labels,
    ten_cells,
    not_collapsed,
    caveats=(searched,),
)
def clisi(lisi_weight_nk: NDArray[np.float64], neighbour_nk: Codes, label_n: Codes) -> float:
    """How few cell types there are effectively in the neighbourhood of a cell, scaled: 1 one, 0 all equally.

    ``(L - median_i LISI_i) / (L - 1)``.
    """
    n_labels = len(np.unique(label_n))
    return float((n_labels - np.median(lisi(lisi_weight_nk, neighbour_nk, label_n))) / (n_labels - 1))


@metric(
    Card("graph connectivity", "higher", (0.0, 1.0), "", _LUECKEN),
    labelled,
    ten_cells,
    not_collapsed,
    caveats=(searched,),
)
def graph_connectivity(neighbour_nk: Codes, label_n: Codes) -> float:
    """Share of the cells of a type that hang together in the graph of nearest neighbours, mean over types.

    The largest strongly connected component of the graph of 14 neighbours among the cells of the type
    (Luecken et al. 2022). As in scib-metrics its edges are directed: a cell that is nobody's neighbour
    stands alone, which keeps even a perfect embedding a little below 1.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    near_nk = neighbour_nk[:, :GRAPH_NEIGHBOURS]
    n_cells, k = near_nk.shape
    starts = np.arange(0, n_cells * k + 1, k)
    graph_nn = csr_matrix((np.ones(n_cells * k, np.int8), near_nk.ravel(), starts), shape=(n_cells, n_cells))
    shares = []
    for label in np.unique(label_n):
        own = np.flatnonzero(label_n == label)
        _, component_m = connected_components(graph_nn[own][:, own], connection="strong")
        shares.append(np.bincount(component_m).max() / len(own))
    return float(np.mean(shares))


@metric(
    Card("kNN purity", "higher", (0.0, 1.0), "", _SCVI),
    two_labels,
    ten_cells,
    not_collapsed,
    caveats=(searched,),
)
def knn_purity(neighbour_nk: Codes, label_n: Codes) -> float:
    """Share of a cell's neighbours that are of its own type: mean over the cells of a type, then over types.

    Of 30 neighbours, as in scvi 0.3.0, or of as many as there are other cells of the type, so that a rare
    type that stands by itself is pure; a type of a single cell is left out.
    """
    shares = []
    for label, size in zip(*np.unique(label_n, return_counts=True), strict=True):
        k = min(PURITY_NEIGHBOURS, size - 1)
        if k:
            shares.append((label_n[neighbour_nk[label_n == label, :k]] == label).mean())
    return float(np.mean(shares))


def _testable(batch_n: Codes, label_n: Codes | None) -> str | None:
    """Some cell type has ten cells or more, of two batches or more."""
    if label_n is None:
        return "no labels"
    return None if _tested_types(batch_n, label_n) else "no cell type with 10 cells and two batches"


def _tested_types(batch_n: Codes, label_n: Codes) -> list[Codes]:
    rows = [np.flatnonzero(label_n == label) for label in np.unique(label_n)]
    return [own for own in rows if len(own) >= 10 and len(np.unique(batch_n[own])) > 1]


@metric(
    Card("kBET", "higher", (0.0, 1.0), "", _BUETTNER),
    mixed_type,
    _testable,
    not_collapsed,
    caveats=(searched,),
)
def kbet(z_nd: Embedding, batch_n: Codes, label_n: Codes, neighbour_seed: int) -> float:
    """Share of the cells of a type in whose neighbourhood the batches have their usual shares, mean over
    types.

    Within each type of 10 cells or more and two batches or more: Pearson's chi-squared test of the batches
    of a cell and its k0 nearest neighbours of the type against the shares of the batches in the type; a cell
    passes with p >= 0.05 (Büttner et al. 2019). ``k0`` is a quarter of the mean size of a batch, 10 to 70.
    Neighbours are Euclidean, where scIB takes those of a diffusion map of each type. All cells of a type
    of up to about 16 pass, even where batches lie apart: 11 cells are nearly all of it, with its shares.
    """
    most = None if is_exact(len(z_nd)) else MOST_OF_A_TYPE_EXACT
    types = _tested_types(batch_n, label_n)
    return float(np.mean([acceptance(z_nd[own], batch_n[own], neighbour_seed, most) for own in types]))


def acceptance(z_nd: Embedding, batch_n: Codes, seed: int = 0, most_exact: int | None = None) -> float:
    """Share of cells that pass the test of `kbet`, of cells of one type."""
    from scipy.special import chdtrc

    present, code_n, size_b = np.unique(batch_n, return_inverse=True, return_counts=True)
    n_cells, n_batches = len(code_n), len(present)
    k = int(np.clip(n_cells // (4 * n_batches), 10, 70))
    k = min(k, n_cells - 1)
    others_nk = nearest(z_nd, k, seed, most_exact).index_nk
    flat_nk = np.arange(n_cells)[:, None] * n_batches + code_n[others_nk]
    observed_nb = np.bincount(flat_nk.ravel(), minlength=n_cells * n_batches).reshape(n_cells, n_batches)
    observed_nb[np.arange(n_cells), code_n] += 1  # itself
    expected_b = size_b / n_cells * (k + 1)
    statistic_n = ((observed_nb - expected_b) ** 2 / expected_b).sum(axis=1)
    return float((chdtrc(n_batches - 1, statistic_n) >= 0.05).mean())
