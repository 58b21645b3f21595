"""How much of the variance the batch explains, beside what it explains before any correction."""

import numpy as np

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import not_collapsed, two_batches

COMPONENTS = 50
SAMPLE = 50_000
"""Cells whose components stand for those of all, where there are more."""

_BUETTNER = "Büttner et al. 2019, doi:10.1038/s41592-018-0254-1"


def _uncorrected(has_counts: bool) -> str | None:
    """The counts of the cells are known."""
    return None if has_counts else "no counts of these cells to compare with"


def _components_of_a_sample(z_nd: Embedding) -> str | None:
    """Caveat of many cells."""
    n_cells = len(z_nd)
    return (
        f"before: components of {SAMPLE:,} of {n_cells:,} cells, drawn at random"
        if n_cells > SAMPLE
        else None
    )


def explained_by_batch(z_nd: Embedding, batch_n: Codes) -> float:
    """Share of the variance that is between batches, 0 to 1.

    The R^2 of the batch on each principal component, weighted by the component's variance (Büttner et al.
    2019): over all components that is the sum of squares between batches as a share of the whole, in any
    coordinates.
    """
    centred_nd = z_nd - z_nd.mean(axis=0)
    size_b = np.bincount(batch_n)
    sum_bd = np.zeros((len(size_b), z_nd.shape[1]))
    np.add.at(sum_bd, batch_n, centred_nd)
    present = size_b > 0
    between = (sum_bd[present] ** 2 / size_b[present, None]).sum()
    return float(between / (centred_nd**2).sum())


@metric(
    Card("PCR comparison", "higher", (0.0, 1.0), "", _BUETTNER),
    two_batches,
    _uncorrected,
    not_collapsed,
    caveats=(_components_of_a_sample,),
)
def pcr(z_nd: Embedding, batch_n: Codes, uncorrected: tuple[Embedding, Codes]) -> float:
    """By how much less of the variance the batch explains than before correction: 1 none left, 0 as much or
    more.

    ``max(0, (before - after) / before)`` of `explained_by_batch` (Büttner et al. 2019; Luecken et al. 2022),
    with 50 principal components of the log-normalised counts of these cells as what was before.

    Parameters
    ----------
    uncorrected
        These components, and the batches of their cells.
    """
    before = explained_by_batch(*uncorrected)
    return max(0.0, (before - explained_by_batch(z_nd, batch_n)) / before)
