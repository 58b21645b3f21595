"""Mixing of the batches among the nearest neighbours."""

import math

import numpy as np

from bie.metrics.metric import Card, Codes, metric
from bie.metrics.needs import not_collapsed, two_batches, two_neighbours
from bie.metrics.neighbours import of_a_sample

_HAGHVERDI = "Haghverdi et al. 2018, doi:10.1038/nbt.4091"


def draw_pools(n_cells: int, n_pools: int, rng: np.random.Generator) -> Codes:
    """Rows that the study of 2019 counts: `n_pools` times 100 cells, drawn with replacement."""
    return rng.integers(n_cells, size=n_pools * 100)


@metric(
    Card("BE", "higher", (0.0, math.inf), "nats", _HAGHVERDI, headline=True),
    two_batches,
    not_collapsed,
    caveats=(of_a_sample,),
)
def be(entropy_neighbour_qk: Codes, batch_n: Codes, n_batches: int, counted_m: Codes) -> float:
    """Batch entropy: how evenly the batches share the neighbourhoods of cells, 0 to ln B.

    ``mean_i -sum_b f_ib ln f_ib``, where f_ib is the share of batch b among the neighbours of cell i
    (Haghverdi et al. 2018; Lopez et al. 2018 for two batches). Its maximum is not ln B but `be_ceiling`.

    Parameters
    ----------
    entropy_neighbour_qk
        Neighbours of all cells or of a sample (`bie.metrics.neighbours.nearest`).
    counted_m
        Rows of these over which the mean is taken.
    """
    from scipy.special import entr

    k = entropy_neighbour_qk.shape[1]
    row_mk = np.arange(len(counted_m))[:, None].repeat(k, axis=1)
    flat = row_mk * n_batches + batch_n[entropy_neighbour_qk[counted_m]]
    count_mb = np.bincount(flat.ravel(), minlength=len(counted_m) * n_batches).reshape(-1, n_batches)
    return float(entr(count_mb / k).sum(axis=1).mean())


@metric(Card("BE ceiling", "none", (0.0, math.inf), "nats", _HAGHVERDI), two_batches)
def be_ceiling(batch_n: Codes, n_batches: int, n_neighbours: int) -> float:
    """Batch entropy to be expected of perfect mixing: neighbours that are independent of the batch.

    ``sum_b E[-(X_b / k) ln(X_b / k)]`` with X_b ~ Binomial(k, p_b), p_b the share of batch b among the
    cells and k the number of neighbours; roughly H(p) - (B - 1) / (2k).
    """
    from scipy.special import entr
    from scipy.stats import binom

    share_b = np.bincount(batch_n, minlength=n_batches) / len(batch_n)
    count_j = np.arange(n_neighbours + 1)
    chance_bj = binom.pmf(count_j, n_neighbours, share_b[:, None])
    return float((chance_bj * entr(count_j / n_neighbours)).sum())


@metric(
    Card("BE / ceiling", "higher", (0.0, math.inf), "", _HAGHVERDI, headline=True),
    two_batches,
    not_collapsed,
    two_neighbours,
    caveats=(of_a_sample,),
)
def be_ratio(entropy_neighbour_qk: Codes, batch_n: Codes, n_batches: int, counted_m: Codes) -> float:
    """Batch entropy as a share of its ceiling: 0 separated, about 1 mixed.

    ``be / be_ceiling``. Above 1 where the batches alternate more regularly than at random.
    """
    ceiling = be_ceiling(batch_n, n_batches, entropy_neighbour_qk.shape[1])
    return be(entropy_neighbour_qk, batch_n, n_batches, counted_m) / ceiling
