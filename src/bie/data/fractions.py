"""Values that are not whole: rounded on demand, unless they are counts that somebody normalised."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.errors import BadInput

ROUNDED = "dataset.fractional=round changed"
_ENTRIES = 2**20  # values at a time
SAMPLE = 200  # cells that are looked at
_FEWEST = 10  # values above 0 of such a cell
_FEW_CELLS = 10  # that hold fractions: enough to judge by them alone
_LARGEST = 100  # multiples above are not told from whole numbers in float32
_LARGEST_LOG = 30.0
_LOGS = {"log1p": np.e, "log2(1 + x)": 2.0, "log10(1 + x)": 10.0}
"""Bases by what people call them: scanpy's and Seurat's, that of R's logcounts, and a rare one."""
_NEAR = 1e-3
_MOST = 0.9  # of the cells


def rounded(origin: str, x_ng: sp.csr_matrix) -> tuple[sp.csr_matrix, tuple[str, ...]]:
    """The nearest whole numbers (a half to the even one), and a sentence on what that changed.

    Parameters
    ----------
    origin
        Where the values are from, for people.
    x_ng
        Values above 0; changes in place. Zeros that come of it stay in it.

    Raises
    ------
    BadInput
        The values look like normalised counts, of which rounding makes no counts.
    """
    spread = np.unique(np.linspace(0, x_ng.shape[0] - 1, SAMPLE, dtype=np.int64))
    kind, n_changed, n_gone = normalised(x_ng[spread]), 0, 0
    for start in range(0, x_ng.nnz, _ENTRIES):
        block = x_ng.data[start : start + _ENTRIES]
        whole = np.rint(block)
        n_changed += int((whole != block).sum())
        n_gone += int((whole == 0).sum())
        block[:] = whole
    if not n_changed:
        return x_ng, ()
    if kind:
        raise BadInput(
            f"{origin} looks like {kind}: rounding would not give the counts back. Use those that it was "
            'made from; where you normalise, keep them first: adata.layers["counts"] = adata.X.copy() -> '
            "dataset.layer=counts"
        )
    share = f"{n_changed:,} of its {x_ng.nnz:,} values above 0 ({100 * n_changed / x_ng.nnz:.3g} %)"
    return x_ng, (f"{origin}: {ROUNDED} {share}, {n_gone:,} of them to 0",)


def normalised(x_ng: sp.csr_matrix) -> str | None:
    """What the values are if in each cell they are multiples of one number, or all cells have one total.

    A size factor makes the first of counts, and a target total both; taking logarithms hides it.
    Counts shared out among genes or corrected for ambient RNA (alevin, kallisto, SoupX, ...) are no such
    multiples; counts times one number in all cells, or parts such as halves, are not taken for normalised.

    >>> counts = sp.csr_matrix(np.random.default_rng(0).poisson(2, (30, 40)))
    >>> depth = sp.diags(1e4 / np.asarray(counts.sum(axis=1)).ravel())
    >>> normalised((depth @ counts).log1p().tocsr()), normalised((depth @ counts).tocsr())
    ('log1p of counts, normalised or not', 'normalised counts')

    Where few counts are 1, a total of 1e6 tells; and bases of logarithms that R uses:

    >>> many = sp.csr_matrix(np.random.default_rng(0).poisson(50, (30, 40)))
    >>> many = sp.csr_matrix(sp.diags(1e6 / np.asarray(many.sum(axis=1)).ravel()) @ many)
    >>> normalised(many), normalised(many.log1p() / np.log(2))
    ('normalised counts', 'log2(1 + x) of counts, normalised or not')
    >>> corrected = sp.csr_matrix(counts + 0.3 * (np.random.default_rng(1).random((30, 40)) < 0.05))
    >>> normalised(corrected), normalised((counts - 0.1 * (counts > 0)).tocsr())
    (None, None)
    """
    bounds = zip(x_ng.indptr, x_ng.indptr[1:], strict=False)
    rows = [x_ng.data[start:stop].astype(np.float64) for start, stop in bounds]
    rows = [above for row in rows if (above := row[row > 0]).size >= _FEWEST]
    fractional = [row for row in rows if (row != np.rint(row)).any()]
    if len(fractional) >= _FEW_CELLS:
        rows = fractional  # others may be counts, of an input that was joined with these
    for name, base in _LOGS.items():
        if _are_logs(rows, base):
            return f"{name} of counts, normalised or not"
    units = np.array([row.min() for row in rows])
    if not rows or np.ptp(units) <= _NEAR * units.max():
        return None
    in_parts = (units < 1 + _NEAR) & (np.abs(1 / units - np.rint(1 / units)) < _NEAR)
    return "normalised counts" if in_parts.mean() < 1 - _MOST and _scaled(rows) else None


def _are_logs(rows: list[NDArray[np.float64]], base: float) -> bool:
    """Whether most cells hold logarithms of counts, by a factor for each cell or of a target total."""
    if base != np.e:  # powers of 2 and 10 are whole for whole numbers: they tell nothing
        fractional = [row for row in rows if (np.abs(row - np.rint(row)) > _NEAR).any()]
        rows = fractional if 2 * len(fractional) > len(rows) else []
    logged = [row * np.log(base) for row in rows]
    return (
        bool(logged)
        and max(map(np.max, logged)) < _LARGEST_LOG
        and _scaled([np.expm1(row) for row in logged])
    )


def _scaled(rows: list[NDArray[np.float64]]) -> bool:
    totals = np.array([row.sum() for row in rows])
    return (len(rows) > 1 and bool(np.ptp(totals) < _NEAR * totals.max())) or _multiples(rows)


def _multiples(rows: list[NDArray[np.float64]]) -> bool:
    """Whether in most rows, of those with different values, all are multiples of the smallest."""
    found = []
    for row in rows:
        times = row[row <= _LARGEST * row.min()] / row.min()
        if times.max() > 1 + _NEAR:
            found.append(bool((np.abs(times - np.rint(times)) <= _NEAR).all()))
    return bool(found) and float(np.mean(found)) >= _MOST
