"""What the cells of a part must be like for a metric to exist; each says why it does not, or None."""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding


def two_labels(label_n: Codes | None) -> str | None:
    """Cells are to be compared within and between labels."""
    if label_n is None:
        return "no labels"
    present = len(np.unique(label_n))
    if present < 2:
        return "cells of one label only"
    return "no two cells share a label" if present == len(label_n) else None


def labelled(label_n: Codes | None) -> str | None:
    """Cells of a type are to be told from others."""
    return "no labels" if label_n is None else None


def mixed_type(batch_n: Codes, label_n: Codes | None) -> str | None:
    """Batches are to be compared within a type."""
    if label_n is None:
        return "no labels"
    sizes = [np.bincount(batch_n[label_n == label]) for label in np.unique(label_n)]
    mixed = any((size_b > 0).sum() > 1 and (size_b > 1).any() for size_b in sizes)
    return None if mixed else "no cell type with cells of two batches"


def ten_cells(z_nd: Embedding) -> str | None:
    """Neighbourhoods are to be smaller than the whole."""
    return None if len(z_nd) >= 10 else "fewer than 10 cells"


def clusterable(z_nd: Embedding, n_clusters: int) -> str | None:
    """k-means is to find so many clusters."""
    some, n_cells = 1000, len(z_nd)  # enough as a rule; sorting all vectors of a large set takes a while
    distinct = len(np.unique(z_nd[:some], axis=0))
    if distinct < n_clusters and n_cells > some:
        distinct = len(np.unique(z_nd, axis=0))
    return None if distinct >= n_clusters else f"{distinct} distinct latent vectors for {n_clusters} clusters"


def not_collapsed(z_nd: Embedding) -> str | None:
    """Distances are to tell near from far."""
    return "all latent vectors are equal" if (z_nd == z_nd[:1]).all() else None


def two_batches(batch_n: Codes) -> str | None:
    """Batches are to mix."""
    return "cells of one batch only" if len(np.unique(batch_n)) < 2 else None


def two_batches_of_two(batch_n: Codes) -> str | None:
    """Cells are to be compared within and between batches."""
    sizes = np.bincount(batch_n)
    return "fewer than two batches with two cells or more" if (sizes > 1).sum() < 2 else None


def two_neighbours(n_neighbours: int) -> str | None:
    """Neighbourhoods are to be mixed or not."""
    return "a single neighbour has no entropy" if n_neighbours < 2 else None


def probed(judged_n: NDArray[np.bool_], batch_n: Codes) -> str | None:
    """A probe is to tell two batches, which it has seen in cells other than those that it judges."""
    if len(np.unique(batch_n[judged_n])) >= 2:
        return None
    return "fewer than two batches with cells on which probes are fitted, beside those that they judge"


def unjudged(judged_n: NDArray[np.bool_], batch_n: Codes) -> str | None:
    """Caveat of probes that did not see every batch."""
    left_n = batch_n[~judged_n]
    if not len(left_n):
        return None
    return (
        f"{len(left_n):,} of {len(batch_n):,} cells are not judged: probes were fitted on no other cell of "
        f"their batch ({len(np.unique(left_n))} of {len(np.unique(batch_n))} batches)"
    )
