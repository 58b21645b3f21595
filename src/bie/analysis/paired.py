"""Paired differences over Monte Carlo splits, and how sure one can be of their mean.

All models see the same split at one seed, so that runs pair by seed. The splits overlap: the differences are
correlated, and the usual standard error of their mean is far too small. Nadeau & Bengio (2003, Machine
Learning 52:239) replace its factor 1/n by 1/n + n_test/n_train.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences.

    Attributes
    ----------
    mean
        In the unit of the differences.
    low, high
        Ends of the 95 % interval; NaN for fewer than two pairs.
    p
        Two-sided p-value of a mean of 0; NaN for fewer than two pairs.
    n
        Pairs.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int


def corrected_difference(differences: Sequence[float], train_fraction: float) -> Difference:
    """Mean difference with the corrected resampled t-test of Nadeau & Bengio.

    Parameters
    ----------
    differences
        One for each split, in any order.
    train_fraction
        Share of the cells that train, between 0 and 1; the others are the test cells.

    Examples
    --------
    >>> found = corrected_difference([0.1, 0.2, 0.3], train_fraction=0.5)
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (0.2, -0.297, 0.697)
    """
    from scipy.stats import t as student

    n = len(differences)
    mean = math.fsum(differences) / n
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    variance = math.fsum((value - mean) ** 2 for value in differences) / (n - 1)
    error = math.sqrt(variance * (1 / n + (1 - train_fraction) / train_fraction))
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, n)
    half = float(student.ppf(0.975, n - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, n - 1))
    return Difference(mean, mean - half, mean + half, p, n)
