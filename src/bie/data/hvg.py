"""Highly variable genes: those that a run models, chosen on its training cells alone.

Tutorials choose genes on all cells and split afterwards, so that the test cells have a say in what the model
sees of them. Here the split comes first, and the test cells get the genes that the training cells chose. So
genes differ from seed to seed; their number does not.
"""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bie.data.cells import Cells
from bie.errors import RunFailed

if TYPE_CHECKING:
    from anndata import AnnData

Flavor = Literal["seurat_v3", "pearson_residuals", "cell_ranger"]

LEAST = 20
"""Training cells that a batch needs to have a say; without any such batch, all cells are taken as one. Also
the genes that must vary in a batch for a curve through them: its library ends the process on a handful."""


def most_variable(cells: Cells, train: NDArray[np.int64], n_top_genes: int, flavor: Flavor) -> Cells:
    """Keep the genes that vary most within the batches of the training cells, in the order they have.

    Parameters
    ----------
    cells
        All cells; their counts are not changed.
    train
        Rows of the training cells.
    n_top_genes
        How many genes to keep, 1 to g.
    flavor
        As in scanpy: ``seurat_v3`` (Stuart et al. 2019, doi:10.1016/j.cell.2019.05.031),
        ``pearson_residuals`` (Lause et al. 2021, doi:10.1186/s13059-021-02451-7) or ``cell_ranger``
        (Zheng et al. 2017, doi:10.1038/ncomms14049; of log counts, scaled to the median total).

    Raises
    ------
    RunFailed
        The variance cannot be fitted to these cells, or leaves a cell without any count.
    """
    kept = chosen_genes(cells, train, n_top_genes, flavor)
    chosen = replace(cells, counts=cells.counts[:, kept], gene_names=cells.gene_names[kept])
    empty = chosen.cell_names[chosen.counts.getnnz(axis=1) == 0]
    if empty.size:
        raise RunFailed(
            "genes",
            f"{empty.size} of {cells.n_cells} cells have no count in the {n_top_genes} genes of "
            f"dataset.hvg={flavor} ({empty[0]}, ...). Raise dataset.n_top_genes, or drop such cells: "
            "dataset.min_counts=500",
        )
    return chosen


def chosen_genes(
    cells: Cells, train: NDArray[np.int64], n_top_genes: int, flavor: Flavor
) -> NDArray[np.int64]:
    """Columns of the genes that scanpy chooses from these rows, ascending; see `most_variable`."""
    import anndata
    import pandas as pd

    rows, names = _voters(cells, train)
    data = anndata.AnnData(
        cells.counts[rows],
        obs=pd.DataFrame({"batch": pd.Categorical(names)}, index=rows.astype(str)),
        var=pd.DataFrame(index=cells.gene_names),
    )
    try:
        if flavor == "seurat_v3":
            _check_curve(data)
        _mark(data, n_top_genes, flavor)
    except ValueError as error:  # of the curve by loess, in bytes; of bins that hold no gene
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise RunFailed(
            "genes",
            f"dataset.hvg={flavor} cannot be computed from these {rows.size} training cells ({why}). "
            "dataset.hvg=pearson_residuals fits no curve",
        ) from error
    return np.flatnonzero(data.var["highly_variable"].to_numpy())


def _voters(cells: Cells, train: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of the training cells in batches of some size, and the batch of each; else all, as one batch."""
    size_b = np.bincount(cells.batch[train], minlength=cells.n_batches)
    rows = np.sort(train[size_b[cells.batch[train]] >= LEAST])
    if rows.size:
        return rows, [cells.batches[b] for b in cells.batch[rows]]
    return np.sort(train), ["all"] * len(train)


def _check_curve(data: "AnnData") -> None:
    """Raise `ValueError` if a batch has too few genes with a count in some of its cells but not in all."""
    for batch in data.obs["batch"].cat.categories:
        x_ng = data.X[(data.obs["batch"] == batch).to_numpy()]
        seen_g = x_ng.getnnz(axis=0)
        n_varying = int(((seen_g > 0) & (seen_g < x_ng.shape[0])).sum())
        if n_varying < LEAST:
            raise ValueError(f"in batch {batch}, {n_varying} genes are seen in some cells and not in others")


def _mark(data: "AnnData", n_top_genes: int, flavor: Flavor) -> None:
    """Let scanpy mark the genes, in one thread: sums in another order could swap two genes."""
    import numba
    import scanpy

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that scanpy rests on
            if flavor == "pearson_residuals":
                scanpy.experimental.pp.highly_variable_genes(data, n_top_genes=n_top_genes, batch_key="batch")
                return
            if flavor == "cell_ranger":
                scanpy.pp.normalize_total(data)
                scanpy.pp.log1p(data)
            scanpy.pp.highly_variable_genes(data, n_top_genes=n_top_genes, batch_key="batch", flavor=flavor)
    finally:
        numba.set_num_threads(before)
