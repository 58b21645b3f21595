"""Preconditions of metrics: each function returns None where it holds, else why the metric does not exist.

Their parameters are filled by name from `bie.metrics.part.Part`, as those of metrics are.
"""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Codes, Embedding


def two_labels(label_n: Codes | None) -> str | None:
    """Two labels or more, one of them with two cells: cells are compared within and between labels."""
    if label_n is None:
        return "no labels"
    present = len(np.unique(label_n))
    if present < 2:
        return "cells of one label only"
    return "no two cells share a label" if present == len(label_n) else None


def labelled(label_n: Codes | None) -> str | None:
    """The cells have labels."""
    return "no labels" if label_n is None else None


def mixed_type(batch_n: Codes, label_n: Codes | None) -> str | None:
    """Some cell type has cells of two batches, and two cells of one of them."""
    if label_n is None:
        return "no labels"
    sizes = [np.bincount(batch_n[label_n == label]) for label in np.unique(label_n)]
    mixed = any((size_b > 0).sum() > 1 and (size_b > 1).any() for size_b in sizes)
    return None if mixed else "no cell type with cells of two batches"


def ten_cells(z_nd: Embedding) -> str | None:
    """Ten cells or more, so that a neighbourhood is smaller than the whole."""
    return None if len(z_nd) >= 10 else "fewer than 10 cells"


def clusterable(z_nd: Embedding, n_clusters: int) -> str | None:
    """As many distinct latent vectors as k-means is asked for clusters."""
    some, n_cells = 1000, len(z_nd)  # enough as a rule; sorting all vectors of a large set takes a while
    distinct = len(np.unique(z_nd[:some], axis=0))
    if distinct < n_clusters and n_cells > some:
        distinct = len(np.unique(z_nd, axis=0))
    return None if distinct >= n_clusters else f"{distinct} distinct latent vectors for {n_clusters} clusters"


def not_collapsed(z_nd: Embedding) -> str | None:
    """Not all latent vectors are equal, so that distances tell near from far."""
    return "all latent vectors are equal" if (z_nd == z_nd[:1]).all() else None


def two_batches(batch_n: Codes) -> str | None:
    """Cells of two batches or more."""
    return "cells of one batch only" if len(np.unique(batch_n)) < 2 else None


def two_batches_of_two(batch_n: Codes) -> str | None:
    """Two batches with two cells or more: cells are compared within and between batches."""
    sizes = np.bincount(batch_n)
    return "fewer than two batches with two cells or more" if (sizes > 1).sum() < 2 else None


def two_neighbours(n_neighbours: int) -> str | None:
    """Two neighbours or more."""
    return "a single neighbour has no entropy" if n_neighbours < 2 else None


def probed(judged_n: NDArray[np.bool_], batch_n: Codes) -> str | None:
    """Two batches with cells that probes can judge: they have seen other cells of both."""
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
