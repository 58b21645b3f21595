"""Cells of a file in the terms of a model that was trained on others: its genes, its batches.

What scArches and scvi-tools call query data (Lotfollahi et al. 2022, doi:10.1038/s41587-021-01001-7).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data import grouping
from bie.data.anndata_file import AnnDataFile, opened, unique_names
from bie.data.cells import canonical
from bie.data.checks import examples, some
from bie.errors import BadInput

LEAST = 0.8
"""Share of a model's genes that a file has to have; below it scvi-tools warns (``MIN_VAR_NAME_RATIO``)."""


@dataclass(frozen=True)
class Query:
    """Cells of a file.

    Attributes
    ----------
    counts
        x_ng of all genes of the file, in the form of `bie.data.cells.Cells.counts`.
    cell_names, gene_names
        Unique, as training makes them.
    batch_n, batches
        Codes and names of the batches; one nameless batch where none were read.
    repeated
        Names that several genes of the file have.
    notes
        What reading has changed, a sentence each.
    """

    counts: sp.csr_matrix
    cell_names: NDArray[np.str_]
    gene_names: NDArray[np.str_]
    batch_n: NDArray[np.int64]
    batches: tuple[str, ...]
    repeated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matched:
    """Counts of the genes of a model, and how they came about.

    Attributes
    ----------
    counts
        x_ng in the order of the model's genes; zero where the file lacks one.
    missing, surplus
        Genes of the model that the file lacks; of the file that the model does not know.
    repeated
        Names of the model's genes that several genes of the file have.
    """

    counts: sp.csr_matrix
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    repeated: tuple[str, ...] = ()

    def said(self, n_genes: int) -> list[str]:
        """What became of the genes, a line for each kind."""
        lines = [f"genes: {n_genes - len(self.missing):,} of the model's {n_genes:,} found by name"]
        if self.missing:
            lines.append(f"  {some(self.missing, 'gene')} missing, taken as 0: {examples(self.missing)}")
        if self.surplus:
            lines.append(
                f"  {some(self.surplus, 'gene')} that the model lacks, left out: {examples(self.surplus)}"
            )
        if self.repeated:  # which of them is which, nothing but their order tells
            lines.append(
                f"  {some(self.repeated, 'name')} more than once in the file ({examples(self.repeated)}): "
                "the first is taken for the first of the run's file, and so on. Unique: --gene-key COLUMN"
            )
        empty = int((self.counts.getnnz(axis=1) == 0).sum())
        if empty:
            them = "1 cell has" if empty == 1 else f"{empty:,} cells have"
            lines.append(f"  {them} no count in these genes, of which such a vector says nothing")
        return lines


def read_query(
    path: Path,
    layer: str | None,
    gene_key: str | None = None,
    batch_key: str | None = None,
    fractional: str = "refuse",
) -> Query:
    """Read cells, checked as for training; of any number, of any number of batches.

    Parameters
    ----------
    layer, batch_key, fractional
        As in the section ``dataset``; without `batch_key` no batches are read.
    gene_key
        Column of var with the names of the genes; None: its index.

    Raises
    ------
    BadInput
        The file, a column or the counts cannot be used.
    """
    with opened(path) as file:
        if batch_key is not None:
            for problem in grouping.find_problems(file.obs, "--batch-key", batch_key, fewest=1):
                raise BadInput(f"{path}: {problem}")
        counts = file.counts(layer, batch_key, fractional)
        none = np.zeros(len(file.obs), np.int64), ("",)
        codes = none if batch_key is None else grouping.codes(file.obs[batch_key])
        genes = _gene_names(file, layer, gene_key)
        distinct, times = np.unique(genes, return_counts=True)
        names = unique_names(file.cell_names), unique_names(genes)
        return Query(counts, *names, *codes, tuple(distinct[times > 1].tolist()), tuple(file.notes))


def _gene_names(file: AnnDataFile, layer: str | None, key: str | None) -> NDArray[np.str_]:
    genes = file.matrix(layer).genes
    if key is None:
        return genes.names
    if key not in genes:
        raise BadInput(f"{file.path}: --gene-key={key} is not in {genes.name}; there are: {', '.join(genes)}")
    return np.array(genes[key].astype(str), dtype=np.str_)


def match_genes(path: Path, query: Query, genes: Sequence[str], least: float = LEAST) -> Matched:
    """Put counts into the order of a model's genes, by name.

    Raises
    ------
    BadInput
        The file has less than the share `least` of these genes.
    """
    column = {gene: i for i, gene in enumerate(query.gene_names.tolist())}
    found = [(column[gene], i) for i, gene in enumerate(genes) if gene in column]
    if len(found) < max(1, least * len(genes)):
        share = f"{len(found):,} of the model's {len(genes):,} genes ({len(found) / len(genes):.0%})"
        raise BadInput(
            f"{path}: {share} are in it by name, {least:.0%} are needed. "
            f"Its names: {examples(query.gene_names)}; the model's: {examples(genes)}. "
            "Names in a column of var: --gene-key COLUMN; fewer genes: --least-genes SHARE"
        )
    source, target = np.array(found, np.int64).reshape(-1, 2).T
    chosen = (np.ones(len(found), np.float32), (source, target))
    counts = canonical(query.counts @ sp.csr_matrix(chosen, shape=(len(column), len(genes))))
    known = set(genes)
    surplus = tuple(gene for gene in column if gene not in known)
    missing = tuple(gene for gene in genes if gene not in column)
    return Matched(counts, missing, surplus, tuple(name for name in query.repeated if name in known))
