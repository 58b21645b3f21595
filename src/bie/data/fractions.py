"""Values that are not whole: rounded on demand, unless they are counts that somebody normalised."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.errors import BadInput

ROUNDED = "dataset.fractional=round changed"
_ENTRIES = 2**20  # values at a time
SAMPLE = 200  # cells that are looked at
_FEWEST = 10  # values above 0 of such a cell
_LARGEST = 100  # multiples above are not told from whole numbers in float32
_LARGEST_LOG = 30.0
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
    kind, n_changed, n_gone = normalised(x_ng[:SAMPLE]), 0, 0
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
    """What the values are if in each cell they are multiples of one number, as its size factor makes them.

    Counts shared out among genes or corrected for ambient RNA (alevin, kallisto, SoupX, ...) are no such
    multiples; counts times one number in all cells, or parts such as halves, are not taken for normalised.

    >>> counts = sp.csr_matrix(np.random.default_rng(0).poisson(2, (30, 40)))
    >>> depth = sp.diags(1e4 / np.asarray(counts.sum(axis=1)).ravel())
    >>> normalised((depth @ counts).log1p().tocsr()), normalised((depth @ counts).tocsr())
    ('log1p of counts, normalised or not', 'normalised counts')
    """
    bounds = zip(x_ng.indptr, x_ng.indptr[1:], strict=False)
    rows = [x_ng.data[start:stop].astype(np.float64) for start, stop in bounds]
    rows = [above for row in rows if (above := row[row > 0]).size >= _FEWEST]
    if rows and max(row.max() for row in rows) < _LARGEST_LOG and _multiples([np.expm1(row) for row in rows]):
        return "log1p of counts, normalised or not"
    units = np.array([row.min() for row in rows])
    if not rows or np.ptp(units) <= _NEAR * units.max():
        return None
    in_parts = np.abs(1 / units - np.rint(1 / units)) < _NEAR
    return "normalised counts" if in_parts.mean() < 1 - _MOST and _multiples(rows) else None


def _multiples(rows: list[NDArray[np.float64]]) -> bool:
    """Whether in most rows, of those with different values, all are multiples of the smallest."""
    found = []
    for row in rows:
        times = row[row <= _LARGEST * row.min()] / row.min()
        if times.max() > 1 + _NEAR:
            found.append(bool((np.abs(times - np.rint(times)) <= _NEAR).all()))
    return bool(found) and float(np.mean(found)) >= _MOST
