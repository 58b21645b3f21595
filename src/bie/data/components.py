"""Principal components of log-normalised counts, the embedding that most analyses start from."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp

BLOCK = 500  # cells


def totals(x_ng: "sp.csr_matrix") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Total count of each cell. By blocks: a sum in another type copies what it sums."""
    total_n = np.zeros(x_ng.shape[0])
    filled = np.flatnonzero(np.diff(x_ng.indptr))
    for start in range(0, len(filled), BLOCK):
        rows = filled[start : start + BLOCK]
        first, last = x_ng.indptr[rows[0]], x_ng.indptr[rows[-1] + 1]
        values, starts = x_ng.data[first:last], x_ng.indptr[rows] - first
        total_n[rows] = np.add.reduceat(values, starts, dtype=np.float64)
    return total_n


def log_normalised(x_ng: "sp.csr_matrix", target: float | None = None) -> "sp.csr_matrix":
    """``log(1 + x)`` of counts scaled to the same total in each cell.

    Parameters
    ----------
    x_ng
        Counts.
    target
        This total; None: the median of these cells.
    """
    import scipy.sparse as sp

    x_ng = sp.csr_matrix(x_ng, dtype=np.float64)
    total_n = totals(x_ng)
    target = float(np.median(total_n)) if target is None else target
    return sp.csr_matrix(sp.diags_array(target / total_n) @ x_ng).log1p()


def principal_components(y_ng: "sp.csr_matrix", n_components: int, seed: int) -> Any:
    """Scikit-learn's `PCA`, fitted by Lanczos iterations on the sparse matrix (ARPACK), on one thread."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums in another order would change the last digits
        return PCA(n_components, svd_solver="arpack", random_state=seed).fit(y_ng)
