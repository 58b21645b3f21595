"""Cells with too few counts and genes in too few cells, left out on demand."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bie.data.cells import Cells


def filtered(cells: Cells, min_counts: int | None, min_cells: int | None) -> Cells:
    """Leave out cells, then genes, as ``scanpy.pp.filter_cells`` and ``filter_genes`` do.

    Parameters
    ----------
    cells
        With or without what is to be left out.
    min_counts
        Least total of a cell that stays, in counts.
    min_cells
        In how many of the cells that stay a gene has a count, at least.

    Returns
    -------
    Cells
        Names of cell types that no cell has any more are gone; those of batches stay.
    """
    if min_counts is not None:
        cells = _rows(cells, np.asarray(cells.counts.sum(axis=1, dtype=np.float64)).ravel() >= min_counts)
    if min_cells is not None:
        kept = cells.seen_g() >= min_cells
        cells = replace(cells, counts=cells.counts[:, kept], gene_names=cells.gene_names[kept])
    return cells


def _rows(cells: Cells, kept: NDArray[np.bool_]) -> Cells:
    if kept.all():
        return cells
    label, labels = cells.label, cells.labels
    if label is not None:
        codes, label = np.unique(label[kept], return_inverse=True)
        label, labels = label.astype(np.int64), tuple(labels[code] for code in codes)
    return replace(
        cells,
        counts=cells.counts[kept],
        batch=cells.batch[kept],
        label=label,
        labels=labels,
        cell_names=cells.cell_names[kept],
        factors=None if cells.factors is None else cells.factors[kept],
    )
