"""What the cells of a part must be like for a metric to exist; each says why it does not, or None."""

import numpy as np

from bie.metrics.metric import Codes, Embedding

MOST_CELLS_IN_PAIRS = 200_000
"""Minutes for all distances; at a million cells they would take longer than the training."""


def pairs_in_reach(z_nd: Embedding) -> str | None:
    """Each cell is to be compared with every other."""
    n_cells, most = len(z_nd), MOST_CELLS_IN_PAIRS
    return None if n_cells <= most else f"{n_cells:,} cells; distances of all pairs are taken up to {most:,}"


def two_labels(label_n: Codes | None) -> str | None:
    """Cells are to be compared within and between labels."""
    if label_n is None:
        return "no labels"
    present = len(np.unique(label_n))
    if present < 2:
        return "cells of one label only"
    return "no two cells share a label" if present == len(label_n) else None


def clusterable(z_nd: Embedding, n_labels: int) -> str | None:
    """k-means is to find as many clusters as there are labels."""
    some, n_cells = 1000, len(z_nd)  # enough as a rule; sorting all vectors of a large set takes a while
    distinct = len(np.unique(z_nd[:some], axis=0))
    if distinct < n_labels and n_cells > some:
        distinct = len(np.unique(z_nd, axis=0))
    return None if distinct >= n_labels else f"{distinct} distinct latent vectors for {n_labels} clusters"


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


def probed(batch_n: Codes, fitted_batch_n: Codes | None) -> str | None:
    """A probe is to have seen every batch, in cells other than those that it judges."""
    if fitted_batch_n is None:
        single = (np.bincount(batch_n) == 1).sum()
        return (
            "a batch with a single cell, which probes cannot be both fitted and judged on" if single else None
        )
    unseen = len(np.setdiff1d(batch_n, fitted_batch_n))
    return "a batch without training cells, on which probes are fitted" if unseen else None
