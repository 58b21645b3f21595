"""What a user should know about usable data: odd names, and what cannot be told apart in them."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data.barcodes import WELLS, of_wells
from bie.data.cells import Cells
from bie.data.checks import examples, printed, some
from bie.data.components import totals
from bie.data.fractions import ROUNDED
from bie.data.join import Part

_ALSO_MISSING = {"", "nan", "na", "n/a", "<na>", "none", "null", "nat", "missing", "unknown", "unassigned"}
_ALSO_MISSING |= {"na_character_", "na_integer_", "<na_character_>"}  # R's, as text
_BOUND = 0.5
"""Cramér's V from which a type mostly tells its batch."""
_SURE = 20
"""Counts that a gene would have in a batch, by its rate in the others, so that none at all is no chance."""
_ONE_TOTAL = 0.01
"""Relative range of the cells' totals within which they are taken for one."""
_SEVERAL, _MANY = 3, 0.02
"""Number and share of genes without a count in a whole batch that are no biology of single genes any more."""


def notes(cells: Cells, batch_key: str, label_key: str | None) -> tuple[str, ...]:
    """Everything about usable data that could mislead; a line each.

    Parameters
    ----------
    batch_key, label_key
        How the user calls the columns of batches and of labels.
    """
    return (
        *_odd_names(f"dataset.batch_key={batch_key}", cells.batches, cells.batch),
        *(_odd_names(f"dataset.label_key={label_key}", cells.labels, cells.label) if cells.n_labels else ()),
        *confounding(cells),
        *_unmeasured(cells),
        *_odd_counts(cells),
        *of_wells(cells.cell_names, cells.batch, cells.batches, f"{WELLS} -> dataset.batch_key=well"),
    )


def of_gene_names(names: NDArray[np.str_], n_files: int = 1) -> tuple[str, ...]:
    """Genes that share a name; they are told apart as AnnData does it, since bie goes by columns.

    Of several files the first of one is put below the first of another, whatever genes these are.
    """
    distinct, times = np.unique(names, return_counts=True)
    twice = distinct[times > 1]
    if not twice.size:
        return ()
    said = f"{some(twice, 'gene name')} more than once in var_names ({examples(twice)})"
    order = ", by the order in each file, which has to be one for all of them" if n_files > 1 else ""
    return (f"{said}: told apart as by adata.var_names_make_unique(){order}",)


def of_rounding(cells: Cells) -> tuple[str, ...]:
    """Among the notes on cells, what rounding changed."""
    return tuple(note for note in cells.notes if ROUNDED in note)


def of_join(parts: Sequence[Part], genes: NDArray[np.str_]) -> tuple[str, ...]:
    """What was done to the files of a data set; genes that not all of them have, and that are left out."""
    most = max(parts, key=lambda part: len(part.gene_names))
    n_absent = len(most.gene_names) - len(genes)
    of_parts = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    if not n_absent:
        return of_parts
    return (
        *of_parts,
        f"{n_absent:,} of the {len(most.gene_names):,} genes of {most.origin} are not in all files: left out",
    )


def _odd_names(said: str, names: tuple[str, ...], code_n: NDArray[np.int64] | None) -> Iterator[str]:
    for code, name in enumerate(names):
        if name.strip().lower() in _ALSO_MISSING:
            n = int(np.sum(code_n == code))
            yield (
                f'{said}: {n:,} cells are in a group called "{printed(name)}". If that means missing, name '
                "or drop them; as it is, they are a group like the others"
            )
    alike = defaultdict(list)
    for name in names:
        alike["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    for group in alike.values():
        if len(group) > 1:
            listed = ", ".join(f'"{printed(name)}"' for name in group)
            yield f"{said}: {listed} differ by case or space only. If they are one group, give them one name"


def confounding(cells: Cells) -> Iterator[str]:
    """Types and batches that come together, so that no method can tell their effects apart."""
    if cells.label is None or cells.n_labels < 2 or cells.n_batches < 2:
        return
    n_bk = np.zeros((cells.n_batches, cells.n_labels))
    np.add.at(n_bk, (cells.batch, cells.label), 1)
    seen_k = (n_bk > 0).sum(axis=0)
    single = [name for name, seen in zip(cells.labels, seen_k, strict=True) if seen == 1]
    pure = [name for name, n_k in zip(cells.batches, n_bk, strict=True) if (n_k > 0).sum() == 1]
    if len(single) == cells.n_labels:
        yield (
            "batch and cell type are confounded: no type is in two batches, so differences of batches and of "
            "types are the same, and what removes one removes the other"
        )
        return
    if single:
        yield f"{len(single)} of {cells.n_labels} cell types are in one batch only ({examples(single)})"
    if pure:
        yield f"{len(pure)} of {cells.n_batches} batches hold one cell type only ({examples(pure)})"
    v = cramers_v(n_bk)
    if v >= _BOUND:
        yield f"batch and cell type go together: Cramér's V {v:.2f} (0: independent, 1: one tells the other)"


def cramers_v(n_bk: NDArray[np.float64]) -> float:
    """Association of rows and columns of a table of counts without empty ones, 0 to 1 (Cramér 1946, 21.9)."""
    n = n_bk.sum()
    expected_bk = np.outer(n_bk.sum(axis=1), n_bk.sum(axis=0)) / n
    chi2 = float(((n_bk - expected_bk) ** 2 / expected_bk).sum())
    return float(np.sqrt(chi2 / (n * (min(n_bk.shape) - 1))))


def _odd_counts(cells: Cells) -> Iterator[str]:
    """Whole numbers that somebody made of other ones."""
    if cells.counts.nnz and cells.counts.data.max() == 1:
        yield "no count is above 1: the matrix may say where there are counts, and not how many"
    total_n = totals(cells.counts)
    if np.ptp(total_n) < _ONE_TOTAL * total_n.max():
        yield (
            f"all cells have nearly the same total, {total_n.min():,.0f} to {total_n.max():,.0f}, as "
            "where counts are drawn down to a number. If they were normalised and rounded, they are no counts"
        )


def _unmeasured(cells: Cells) -> Iterator[str]:
    """Batches in which many genes have no count at all that the other batches let expect."""
    of_batch = sp.csr_matrix(
        (np.ones(cells.n_cells, np.float32), (cells.batch, np.arange(cells.n_cells))),
        shape=(cells.n_batches, cells.n_cells),
    )
    x_bg = np.asarray((of_batch @ cells.counts).todense(), dtype=np.float64)
    total_b = x_bg.sum(axis=1, keepdims=True)
    others_bg, others_b = x_bg.sum(axis=0) - x_bg, total_b.sum() - total_b
    expected_bg = others_bg * (total_b / np.maximum(others_b, 1))
    lacks_bg = (x_bg == 0) & (expected_bg >= _SURE)
    many = np.flatnonzero(lacks_bg.sum(axis=1) >= max(_SEVERAL, _MANY * cells.n_genes))
    if not many.size:
        return
    of_each = [
        f"{printed(cells.batches[b])} in {lacks_bg[b].sum():,} ({examples(cells.gene_names[lacks_bg[b]])})"
        for b in many[:3]
    ]
    more = "; ..." if many.size > len(of_each) else ""
    yield (
        f"{some(many, 'batch', 'batches')} without a count in many of {cells.n_genes:,} genes that have "
        f"{_SURE} or more by the others' rates: {'; '.join(of_each)}{more}. An outer join fills genes that "
        'an input lacked with zeros; to keep the genes of all inputs: anndata.concat(..., join="inner")'
    )
