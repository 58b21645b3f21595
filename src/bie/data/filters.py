"""Cells with too few counts and genes in too few cells, left out on demand."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bie.data.cells import Cells
from bie.data.checks import examples, some
from bie.data.components import totals
from bie.errors import BadInput


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
        Names of cell types that no cell has any more are gone.

    Raises
    ------
    BadInput
        If they leave no cell of a batch, no gene, or a cell without a count; says which of the two does.
    """
    if min_counts is not None:
        cells = _with_counts(cells, min_counts)
    if min_cells is not None:
        cells = _with_cells(cells, min_cells)
    return cells


def _with_counts(cells: Cells, least: int) -> Cells:
    total_n = totals(cells.counts)
    kept = total_n >= least
    left_b = np.bincount(cells.batch[kept], minlength=cells.n_batches)
    gone = [name for name, n in zip(cells.batches, left_b, strict=True) if not n]
    if gone:
        most = total_n[~np.isin(cells.batch, np.flatnonzero(left_b))].max(initial=0)
        raise BadInput(
            f"dataset.min_counts={least} leaves no cell of {some(gone, 'batch', 'batches')} "
            f"({examples(gone)}), whose cells have {most:,.0f} counts at most. Lower it"
        )
    return _rows(cells, kept)


def _with_cells(cells: Cells, least: int) -> Cells:
    seen_g = cells.seen_g()
    kept = seen_g >= least
    if not kept.any():
        raise BadInput(
            f"dataset.min_cells={least} leaves none of {kept.size:,} genes; the most frequent has counts in "
            f"{seen_g.max(initial=0):,} cells. Lower it"
        )
    counts = cells.counts[:, kept]
    emptied = int(((counts.getnnz(axis=1) == 0) & (cells.counts.getnnz(axis=1) > 0)).sum())
    if emptied:
        raise BadInput(
            f"dataset.min_cells={least} leaves {emptied:,} of {cells.n_cells:,} cells without a count. "
            "Lower it, or raise dataset.min_counts"
        )
    return replace(cells, counts=counts, gene_names=cells.gene_names[kept])


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
