"""What counts, names, batches and labels must be so that the models mean something.

Each check returns its problems, [] if there are none; who calls it knows which file they are about and raises
them together.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.data.cells import Cells

MIN_CELLS = 20
LARGEST_COUNT = 2**24  # float32 holds every whole number up to here
_BLOCK = 2**20


class Problem(NamedTuple):
    """What is wrong, with its value; and what a user of AnnData can do about it."""

    finding: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.finding}. {self.remedy}"


def first_non_count(values: NDArray[np.generic], whole: bool = True) -> float | None:
    """First value that is no count: NaN, infinite, negative, not whole or above `LARGEST_COUNT`.

    Parameters
    ----------
    values
        Numeric, any shape; looked at block by block, so that no second array of its size is needed.
    whole
        Whether fractions are no counts.
    """
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        bad = ~((block >= 0) & (block <= LARGEST_COUNT))
        if whole:
            bad |= block != np.floor(block)
        if bad.any():
            return float(block[bad.argmax()])
    return None


def shown(value: float) -> str:
    """A value that is no count, in as many digits as it takes to see that.

    >>> shown(0.6931471805599453), shown(2.9999997), shown(-2147483648.0)
    ('0.6931', '2.9999997', '-2147483648')
    """
    short = f"{value:.4g}"
    if value == np.floor(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return repr(value) if float(short) == np.floor(float(short)) else short


def fault_of_pointers(indptr: NDArray[Any], n_major: int, n_stored: int) -> str | None:
    """What is wrong with the pointers of a sparse matrix; None if nothing is.

    Libraries follow pointers without looking: one that is out of order or of range reads, or writes, memory
    that is not the matrix's.

    Parameters
    ----------
    indptr
        As stored, any type.
    n_major
        Rows of a CSR, columns of a CSC matrix.
    n_stored
        Values that are stored.
    """
    if indptr.shape != (n_major + 1,):
        return f"{indptr.size:,} pointers where {n_major + 1:,} are needed"
    if indptr.dtype.kind not in "iuf" or (indptr != np.floor(indptr)).any():
        return f"its pointers are no whole numbers ({indptr.dtype})"
    if indptr[0] != 0 or indptr[-1] != n_stored:
        return f"its pointers go from {indptr[0]:.0f} to {indptr[-1]:.0f}, its values from 0 to {n_stored}"
    back = np.flatnonzero(indptr[1:] < indptr[:-1])
    if back.size:
        return (
            f"its pointers are out of order at {back[0]} ({indptr[back[0]]:.0f}, {indptr[back[0] + 1]:.0f})"
        )
    return None


def fault_of_indices(indices: NDArray[Any], n_minor: int) -> str | None:
    """What is wrong with indices of a sparse matrix, from 0 to ``n_minor - 1``; None if nothing is."""
    if indices.dtype.kind not in "iuf" or (indices != np.floor(indices)).any():
        return f"its indices are no whole numbers ({indices.dtype})"
    wrong = indices[(indices < 0) | (indices >= n_minor)]
    return f"it has the index {wrong[0]:.0f}, beyond 0 to {n_minor - 1}" if wrong.size else None


def find_problems(cells: Cells, matrix: str = "X") -> list[Problem]:
    """Everything about a data set that would make a run fail or mislead.

    Parameters
    ----------
    cells
        With counts that are counts: see `first_non_count`.
    matrix
        How a user of AnnData calls the matrix (``X``, ``layers["..."]``, ``raw.X``), for the remedies.
    """
    return [
        *_too_small(cells),
        *_empty_cells(cells, matrix),
    ]


def _too_small(cells: Cells) -> list[Problem]:
    n_cells, n_genes = cells.counts.shape
    found = []
    if n_cells < MIN_CELLS:
        found.append(Problem(f"{n_cells} cells are too few", f"At least {MIN_CELLS} are needed"))
    if n_genes < 2:
        found.append(Problem(f"{n_genes} gene is too few", "At least 2 are needed"))
    size_b = np.bincount(cells.batch, minlength=cells.n_batches)
    none = [name for name, size in zip(cells.batches, size_b, strict=True) if size == 0]
    if none:
        finding = f"{some(none, 'batch', 'batches')} without a cell ({examples(none)})"
        found.append(Problem(finding, "Leave them out"))
    return found


def _empty_cells(cells: Cells, matrix: str) -> list[Problem]:
    """Cells without counts have no library size; genes without counts do no harm: a split makes them, too."""
    is_empty = cells.counts.getnnz(axis=1) == 0
    if not is_empty.any():
        return []
    size_b = np.bincount(cells.batch, minlength=cells.n_batches)
    empty_b = np.bincount(cells.batch[is_empty], minlength=cells.n_batches)
    whole = [name for name, n, size in zip(cells.batches, empty_b, size_b, strict=True) if n == size > 0]
    if whole:
        return [_without_counts(whole, cells, int(empty_b.sum()), matrix)]
    empty = cells.cell_names[is_empty]
    finding = f"{some(empty, 'cell')} of {cells.n_cells:,} without counts ({examples(empty)})"
    return [Problem(finding, "To drop them: dataset.min_counts=1")]


def _without_counts(whole: list[str], cells: Cells, n_empty: int, matrix: str) -> Problem:
    """Batches without any count: to drop the cells would be to drop the batch."""
    finding = (
        f"{matrix} has no counts in any cell of {some(whole, 'batch', 'batches')} ({examples(whole)}), "
        f"{n_empty:,} of {cells.n_cells:,} cells in all"
    )
    cause = filled_by_outer_join(matrix, "zeros")
    return Problem(finding, cause[0].upper() + cause[1:])


def filled_by_outer_join(matrix: str, by: str) -> str:
    """What left whole samples of a matrix empty, and what to do."""
    if not matrix.startswith("layers"):
        return (
            f"an outer join fills genes that an input lacked with {by}. Keep those of all: "
            'anndata.concat(..., join="inner")'
        )
    return (
        f"an outer join fills a layer that an input lacked with {by}. Give each input its counts before "
        f"anndata.concat(...): part.{matrix} = part.X.copy()"
    )


def some(items: Sequence[Any] | NDArray[Any], one: str, many: str = "") -> str:
    """Number of items with their name: ``1 cell``, ``2 cells``."""
    return f"{len(items):,} {one if len(items) == 1 else many or f'{one}s'}"


def examples(names: Sequence[str] | NDArray[np.str_]) -> str:
    """The first three."""
    return ", ".join(printed(str(name)) for name in names[:3]) + (", ..." if len(names) > 3 else "")


def printed(name: str) -> str:
    r"""A name out of a file as it can stand in a line: line ends, and what steers a terminal, by their code.

    >>> printed("donor 1\n\x1b[31m")
    'donor 1\\n\\x1b[31m'
    """
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in name)
