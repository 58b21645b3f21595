"""How far the batches of a cell type lie apart, by silhouettes within the type."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import mixed_type, not_collapsed
from bie.metrics.silhouette import Widths, widths_of

_LUECKEN = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"
_RAUTENSTRAUCH = "Rautenstrauch & Ohler 2025, doi:10.1038/s41587-025-02743-4"


def mixed_types(batch_n: Codes, label_n: Codes) -> list[Codes]:
    """Rows of each type of two or more batches, not all of one cell."""
    rows = [np.flatnonzero(label_n == label) for label in np.unique(label_n)]
    return [own for own in rows if 1 < len(np.unique(batch_n[own])) < len(own)]


def batch_widths(z_nd: Embedding, batch_n: Codes, label_n: Codes, seed: int) -> list[Widths]:
    """Of each of the `mixed_types`, 1 less the absolute width of each cell: how little batches are apart."""
    found = [widths_of(z_nd[own], batch_n[own], seed) for own in mixed_types(batch_n, label_n)]
    return [replace(widths, width_m=1 - np.abs(widths.width_m)) for widths in found]


def _sampled(batch_width_t: list[Widths]) -> str | None:
    """Caveat of types of too many cells."""
    n_large = sum(widths.is_sample for widths in batch_width_t)
    if not n_large:
        return None
    errors = [widths.standard_error() for widths in batch_width_t if widths.is_sample]
    error = float(np.sqrt(np.square(errors).sum())) / len(batch_width_t)
    return (
        f"{n_large} of {len(batch_width_t)} types from cells drawn within batches, each beside all others: "
        f"standard error {error:.2g}"
    )


@metric(
    Card("batch silhouette", "higher", (0.0, 1.0), "", _LUECKEN),
    mixed_type,
    not_collapsed,
    caveats=(_sampled,),
)
def silhouette_batch(batch_width_t: list[Widths]) -> float:
    """How little the batches of a type are apart: 1 not at all.

    Mean over the types of the mean of ``1 - |s|`` over their cells, with s the silhouette width of the
    batches within the type; types of one batch, or of a cell a batch, are left out (Luecken et al. 2022).
    Batches that lie near one another in pairs can score high without mixing: see `bras`.
    """
    return float(np.mean([widths.mean() for widths in batch_width_t]))


@metric(Card("BRAS", "higher", (0.0, 1.0), "", _RAUTENSTRAUCH), mixed_type, not_collapsed)
def bras(z_nd: Embedding, batch_n: Codes, label_n: Codes) -> float:
    """Batch-removal adapted silhouette: 1 where the batches of a type lie alike.

    As `silhouette_batch`, with cosine distances, and the distance to other batches as the mean over all
    their cells instead of the nearest batch (Rautenstrauch & Ohler 2025). Means of cosine distances follow
    from sums of the directions, so that it is exact for any number of cells.
    """
    norm_n1 = np.linalg.norm(z_nd, axis=1, keepdims=True)
    direction_nd = np.divide(z_nd, norm_n1, out=np.zeros_like(z_nd), where=norm_n1 > 0)
    types = mixed_types(batch_n, label_n)
    return float(
        np.mean([1 - np.abs(_cosine_widths(direction_nd[own], batch_n[own])).mean() for own in types])
    )


def _cosine_widths(direction_nd: Embedding, batch_n: Codes) -> NDArray[np.float64]:
    """Silhouette widths by cosine distance, against all cells of other batches taken together."""
    _, code_n, size_b = np.unique(batch_n, return_inverse=True, return_counts=True)
    sum_bd = np.zeros((len(size_b), direction_nd.shape[1]))
    np.add.at(sum_bd, code_n, direction_nd)
    size_n, n_cells = size_b[code_n], len(code_n)
    alike_n = np.einsum("nd,nd->n", direction_nd, sum_bd[code_n])
    other_n = direction_nd @ sum_bd.sum(axis=0) - alike_n
    own_n = np.einsum("nd,nd->n", direction_nd, direction_nd)
    within_n = ((size_n - 1) - (alike_n - own_n)) / np.maximum(size_n - 1, 1)
    between_n = ((n_cells - size_n) - other_n) / (n_cells - size_n)
    larger_n = np.maximum(within_n, between_n)
    apart_n = larger_n > n_cells * np.finfo(float).eps  # less is what rounding leaves of equal directions
    width_n = np.divide(between_n - within_n, larger_n, out=np.zeros(n_cells), where=apart_n)
    return np.where(size_n > 1, width_n, 0.0)
