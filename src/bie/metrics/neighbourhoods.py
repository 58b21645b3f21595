"""Who lives near whom: batches and cell types among the nearest neighbours, as scIB asks (Luecken et al.
2022).

Numbers of neighbours and scaling are those of scib-metrics. It counts a cell among its own neighbours, so
that its 90 are 89 others.
"""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import labelled, mixed_type, not_collapsed, ten_cells, two_batches, two_labels
from bie.metrics.neighbours import is_exact, nearest, of_a_sample

LISI_NEIGHBOURS = 89
GRAPH_NEIGHBOURS = 14
PURITY_NEIGHBOURS = 30
SAMPLE_OF_A_TYPE = 20_000  # where there are too many cells to ask for the neighbours of each

_KORSUNSKY = "Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0"
_BUETTNER = "Büttner et al. 2019, doi:10.1038/s41592-018-0254-1"
_LUECKEN = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"
_SCVI = "Lopez et al. 2018, doi:10.1038/s41592-018-0229-2"


def perplexity_weights(distance_qk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the neighbours of each cell, falling with distance such that a third of them counts.

    ``w_ij ~ exp(-beta_i d_ij)`` with beta_i such that the entropy of the weights is ln((k + 1) // 3), found
    by bisection to 1e-5 in 50 steps at most (van der Maaten & Hinton 2008; Korsunsky et al. 2019).

    Returns
    -------
    NDArray[float64]
        ``weight_qk``, rows sum to 1.
    """
    target = np.log((distance_qk.shape[1] + 1) // 3)
    gap_qk = distance_qk - distance_qk[:, :1]  # the factor that this takes out of all weights cancels
    beta_q, low_q, high_q = (np.full(len(gap_qk), start) for start in (1.0, -np.inf, np.inf))
    weight_qk, entropy_q = _softmax(gap_qk, beta_q)
    open_q = np.flatnonzero(np.abs(entropy_q - target) >= 1e-5)
    for _ in range(50):
        if not len(open_q):
            break
        wide = entropy_q[open_q] > target
        low_q[open_q[wide]], high_q[open_q[~wide]] = beta_q[open_q[wide]], beta_q[open_q[~wide]]
        low, high, beta = low_q[open_q], high_q[open_q], beta_q[open_q]
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        beta_q[open_q] = np.where(np.isinf(high), beta * 2, np.where(np.isinf(low), beta / 2, middle))
        weight_qk[open_q], entropy_q[open_q] = _softmax(gap_qk[open_q], beta_q[open_q])
        open_q = open_q[np.abs(entropy_q[open_q] - target) >= 1e-5]
    return weight_qk


def _softmax(gap_qk: NDArray[np.float64], beta_q: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Weights and their entropy."""
    weight_qk = np.exp(-gap_qk * beta_q[:, None])
    total_q = weight_qk.sum(axis=1)
    entropy_q = np.log(total_q) + beta_q * (gap_qk * weight_qk).sum(axis=1) / total_q
    return weight_qk / total_q[:, None], entropy_q


def lisi(weight_qk: NDArray[np.float64], neighbour_qk: Codes, code_n: Codes) -> NDArray[np.float64]:
    """Local inverse Simpson's index of each cell, 1 to the number of groups (Korsunsky et al. 2019).

    ``1 / sum_g (sum_j w_ij [g_j = g])^2``: how many groups there are effectively among the neighbours.
    """
    n_queries, k = weight_qk.shape
    n_groups = int(code_n.max()) + 1
    flat_qk = np.arange(n_queries)[:, None] * n_groups + code_n[neighbour_qk[:, :k]]
    share_qg = np.bincount(flat_qk.ravel(), weight_qk.ravel(), minlength=n_queries * n_groups)
    return np.asarray(1 / (share_qg.reshape(n_queries, n_groups) ** 2).sum(axis=1))


@metric(
    Card("iLISI", "higher", (0.0, 1.0), "", _KORSUNSKY),
    two_batches,
    ten_cells,
    not_collapsed,
    caveats=(of_a_sample,),
)
def ilisi(lisi_weight_qk: NDArray[np.float64], neighbour_qk: Codes, batch_n: Codes) -> float:
    """How many batches there are effectively in the neighbourhood of a cell, scaled: 0 one, 1 all equally.

    ``(median_i LISI_i - 1) / (B - 1)``. Its maximum for unequal batches is below 1: with shares p and 1 - p
    of two it is about ``1 / (p^2 + (1 - p)^2) - 1``.
    """
    n_batches = len(np.unique(batch_n))
    return float((np.median(lisi(lisi_weight_qk, neighbour_qk, batch_n)) - 1) / (n_batches - 1))


@metric(
    Card("cLISI", "higher", (0.0, 1.0), "", _KORSUNSKY),
    two_labels,
    ten_cells,
    not_collapsed,
    caveats=(of_a_sample,),
)
def clisi(lisi_weight_qk: NDArray[np.float64], neighbour_qk: Codes, label_n: Codes) -> float:
    """How few cell types there are effectively in the neighbourhood of a cell, scaled: 1 one, 0 all equally.

    ``(L - median_i LISI_i) / (L - 1)``.
    """
    n_labels = len(np.unique(label_n))
    return float((n_labels - np.median(lisi(lisi_weight_qk, neighbour_qk, label_n))) / (n_labels - 1))


@metric(
    Card("graph connectivity", "higher", (0.0, 1.0), "", _LUECKEN),
    labelled,
    ten_cells,
    not_collapsed,
    caveats=(of_a_sample,),
)
def graph_connectivity(graph_qk: Codes, query_label_q: Codes) -> float:
    """Share of the cells of a type that hang together in the graph of nearest neighbours, mean over types.

    The largest strongly connected component of the graph of 14 neighbours among the cells of the type
    (Luecken et al. 2022). As in scib-metrics its edges are directed: a cell that is nobody's neighbour
    stands alone, which keeps even a perfect embedding a little below 1. Where the cells are a sample, so is
    the graph.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    near_qk = graph_qk[:, :GRAPH_NEIGHBOURS]
    n_cells, k = near_qk.shape
    starts = np.arange(0, n_cells * k + 1, k)
    graph_qq = csr_matrix((np.ones(n_cells * k, np.int8), near_qk.ravel(), starts), shape=(n_cells, n_cells))
    shares = []
    for label in np.unique(query_label_q):
        own = np.flatnonzero(query_label_q == label)
        _, component_m = connected_components(graph_qq[own][:, own], connection="strong")
        shares.append(np.bincount(component_m).max() / len(own))
    return float(np.mean(shares))


@metric(
    Card("kNN purity", "higher", (0.0, 1.0), "", _SCVI),
    two_labels,
    ten_cells,
    not_collapsed,
    caveats=(of_a_sample,),
)
def knn_purity(neighbour_qk: Codes, label_n: Codes, query_label_q: Codes) -> float:
    """Share of a cell's neighbours that are of its own type: mean over the cells of a type, then over types.

    Of 30 neighbours, as in scvi 0.3.0, or of as many as there are other cells of the type, so that a rare
    type that stands by itself is pure; a type of a single cell is left out.
    """
    shares = []
    for label, size in zip(*np.unique(label_n, return_counts=True), strict=True):
        own, k = query_label_q == label, min(PURITY_NEIGHBOURS, size - 1)
        if k and own.any():
            shares.append((label_n[neighbour_qk[own, :k]] == label).mean())
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
    caveats=(of_a_sample,),
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
    rng = None if is_exact(len(z_nd)) else np.random.default_rng(neighbour_seed)
    return float(
        np.mean([acceptance(z_nd[own], batch_n[own], rng) for own in _tested_types(batch_n, label_n)])
    )


def acceptance(z_nd: Embedding, batch_n: Codes, rng: np.random.Generator | None = None) -> float:
    """Share of the cells of one type that pass the test of `kbet`; with `rng`, of a sample of many."""
    from scipy.special import chdtrc

    present, code_n, size_b = np.unique(batch_n, return_inverse=True, return_counts=True)
    n_cells, n_batches = len(code_n), len(present)
    query_q = np.arange(n_cells)
    if rng and n_cells > SAMPLE_OF_A_TYPE:
        query_q = np.sort(rng.choice(n_cells, SAMPLE_OF_A_TYPE, replace=False))
    k = int(np.clip(n_cells // (4 * n_batches), 10, 70))
    k = min(k, n_cells - 1)
    others_qk = nearest(z_nd, k, query_q).index_qk
    flat_qk = np.arange(len(query_q))[:, None] * n_batches + code_n[others_qk]
    observed_qb = np.bincount(flat_qk.ravel(), minlength=len(query_q) * n_batches).reshape(-1, n_batches)
    observed_qb[np.arange(len(query_q)), code_n[query_q]] += 1  # itself
    expected_b = size_b / n_cells * (k + 1)
    statistic_q = ((observed_qb - expected_b) ** 2 / expected_b).sum(axis=1)
    return float((chdtrc(n_batches - 1, statistic_q) >= 0.05).mean())
