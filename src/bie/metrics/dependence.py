"""Dependence of the whole latent vector on the batch, by an estimator that no penalty trains against."""

import math

import numpy as np

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import not_collapsed, two_batches_of_two
from bie.metrics.neighbours import is_exact

SAMPLE = 50_000
"""Cells that stand for all where there are too many to compare all pairs."""


def _estimated_on_a_sample(z_nd: Embedding) -> str | None:
    """Caveat of many cells."""
    return (
        None
        if is_exact(len(z_nd))
        else f"{len(z_nd):,} cells: estimated on {SAMPLE:,} of them, drawn at random"
    )


@metric(
    Card(
        "MI (kNN)",
        "lower",
        (-math.inf, math.inf),
        "nats",
        "Ross 2014, doi:10.1371/journal.pone.0087357",
        headline=True,
    ),
    two_batches_of_two,
    not_collapsed,
    caveats=(_estimated_on_a_sample,),
)
def mi_ross(z_nd: Embedding, batch_n: Codes, k: int = 3) -> float:
    """Mutual information of the latent vector and the batch, estimated from nearest neighbours.

    ``psi(N) - <psi(N_i)> + <psi(k_i)> - <psi(m_i)>``: N_i is the number of cells of cell i's batch,
    k_i = min(k, N_i - 1), and m_i the number of other cells of any batch that are no further away than
    the k_i-th nearest one of its own batch, Euclidean (Ross 2014). Not clipped: independence scatters
    around 0; equal vectors bias it downwards. A batch of a single cell has no distances and is left out
    with its cell.

    Parameters
    ----------
    z_nd
        Latent vectors.
    batch_n
        Batch codes; any discrete variable.

    Returns
    -------
    float
        Nats.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    if not is_exact(len(z_nd)):
        drawn = np.random.default_rng(0).choice(len(z_nd), SAMPLE, replace=False)
        z_nd, batch_n = z_nd[drawn], batch_n[drawn]
    size_n = np.bincount(batch_n)[batch_n]
    kept = size_n > 1
    z_nd, batch_n, size_n = z_nd[kept], batch_n[kept], size_n[kept]
    k_n = np.minimum(k, size_n - 1)
    radius_n = np.empty(len(z_nd))
    for code in np.unique(batch_n):
        own = batch_n == code
        distance_nk, _ = cKDTree(z_nd[own]).query(z_nd[own], k_n[own][0] + 1)  # itself, then k
        radius_n[own] = np.asarray(distance_nk)[:, -1]
    radius_n *= 1 + 1e-12  # the k-th neighbour itself must count, whatever the rounding of its distance
    within_n = cKDTree(z_nd).query_ball_point(z_nd, radius_n, return_length=True) - 1
    terms_n = digamma(k_n) - digamma(size_n) - digamma(within_n)
    return float(digamma(len(z_nd)) + terms_n.mean())
