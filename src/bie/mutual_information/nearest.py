"""Mutual information of two continuous variables from nearest neighbours."""

import numpy as np
from numpy.typing import NDArray

_ROWS = 128  # at a time: distances of so many rows to all, in each dimension after the other


def ksg(x_nd: NDArray[np.float64], y_nd: NDArray[np.float64], k: int = 3) -> float:
    """First estimator of Kraskov et al. 2004 (doi:10.1103/PhysRevE.69.066138), by maximum norms.

    ``psi(k) + psi(n) - <psi(n_x + 1) + psi(n_y + 1)>``: n_x counts the other points that in x are strictly
    nearer than the k-th nearest neighbour in (x, y). All pairs are compared, ``n^2 d`` steps: trees win
    nothing in twenty dimensions.

    Parameters
    ----------
    x_nd, y_nd
        Rows belong together; more than k of them.

    Returns
    -------
    float
        Nats, not clipped: independence scatters around 0.
    """
    from scipy.special import digamma

    n, terms = len(x_nd), 0.0
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(start + _ROWS, n))
        x_mn, y_mn = _distances(x_nd, rows), _distances(y_nd, rows)
        joint_mn = np.maximum(x_mn, y_mn)
        joint_mn[np.arange(len(rows)), rows] = np.inf
        radius_m1 = np.partition(joint_mn, k - 1, axis=1)[:, k - 1 : k]
        counts = [(of_mn < radius_m1).sum(axis=1) for of_mn in (x_mn, y_mn)]  # itself stands for the 1
        terms += float(sum(digamma(np.maximum(count_m, 1)).sum() for count_m in counts))
    return float(digamma(k) + digamma(n) - terms / n)


def _distances(x_nd: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Maximum norm between some rows and all, ``(m, n)``."""
    found = np.zeros((len(rows), len(x_nd)))
    for x_n in x_nd.T:
        np.maximum(found, np.abs(x_n[rows, None] - x_n), out=found)
    return found
