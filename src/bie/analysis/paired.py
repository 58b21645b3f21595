"""Paired differences over Monte Carlo splits, and how sure one can be of their mean.

All models see the same split at one seed, so that runs pair by it. Two questions are asked of the
differences, and each has its own standard error of their mean, sd * sqrt(factor):

- *these cells*: averaged over splits and seeds, on this data set? The splits are drawn anew each time, so the
  differences are independent given the cells: factor 1/n, the paired t-test.
- *new cells*: on another draw of cells from the same source? The splits share cells, so the differences are
  correlated: factor 1/n + n_test/n_train (Nadeau & Bengio 2003, Machine Learning 52:239).

Everything here works on arrays of any shape, one element per comparison.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

ALPHA = 0.05
"""Level of every test; 1 - ALPHA is that of the intervals."""
TIED = 1e-12
"""Standard deviations below this share of the values are rounding: the differences are all the same."""


@dataclass(frozen=True)
class Moments:
    """Paired differences of many comparisons, summed up; arrays of one shape.

    Attributes
    ----------
    n
        Pairs.
    mean, sd
        Of the differences (n - 1 in the denominator); NaN where there are too few. `sd` is exactly 0 where
        all differences are the same.
    """

    n: Numbers
    mean: Numbers
    sd: Numbers

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Where two pairs or more have the same difference, so that there is no spread to judge by."""
        found: NDArray[np.bool_] = (self.n >= 2) & (self.sd == 0)
        return found


@dataclass(frozen=True)
class Inference:
    """Interval (95 %) of a mean difference and its two-sided p-value; NaN where nothing can be said."""

    low: Numbers
    high: Numbers
    p: Numbers


def these_cells(moments: Moments) -> Inference:
    """Paired t-test: is the mean over splits and seeds, on these cells, 0?

    Where all differences are the same there is no interval, and p is that of the sign test: a spread of 0
    in n seeds is no certainty, 2 ** (1 - n) is what n equal signs are worth.
    """
    found = _student(moments, 1 / np.fmax(moments.n, 1))
    signs = np.where(moments.mean == 0, 1.0, 2.0 ** (1 - moments.n))
    return Inference(found.low, found.high, np.where(moments.tied, signs, found.p))


def new_cells(moments: Moments, test_to_train: Numbers | float) -> Inference:
    """Corrected resampled t-test (Nadeau & Bengio): would the mean be 0 on other cells of the same source?

    Parameters
    ----------
    test_to_train
        n_test / n_train of the splits; NaN: nothing is said of new cells.
    """
    return _student(moments, 1 / np.fmax(moments.n, 1) + test_to_train)


def _student(moments: Moments, factor: Numbers) -> Inference:
    from scipy.special import stdtr

    df = np.fmax(moments.n - 1, 1)
    usable = (moments.n >= 2) & ~moments.tied
    error = np.where(usable, moments.sd * np.sqrt(factor), np.nan)
    half = quantile(1 - ALPHA / 2, df) * error
    return Inference(moments.mean - half, moments.mean + half, 2 * stdtr(df, -np.abs(moments.mean) / error))


def quantile(level: float, df: Numbers) -> Numbers:
    """Quantile of Student's t; few of the degrees of freedom differ."""
    from scipy.special import stdtrit

    distinct, place = np.unique(df, return_inverse=True)
    return np.asarray(stdtrit(distinct, level)[place], dtype=np.float64).reshape(np.shape(df))


def equivalent(moments: Moments, margin: Numbers) -> NDArray[np.bool_]:
    """Two one-sided tests (Schuirmann 1987): is the mean, on these cells, within ±margin?

    That is where the 90 % interval lies inside. Where all differences are the same and inside, it takes as
    many seeds as a sign test needs. False where the margin is NaN.
    """
    df = np.fmax(moments.n - 1, 1)
    half = quantile(1 - ALPHA, df) * moments.sd / np.sqrt(np.fmax(moments.n, 1))
    inside: NDArray[np.bool_] = np.abs(moments.mean) + half < margin
    return inside & (moments.n >= 2) & (~moments.tied | (2.0**-moments.n < ALPHA))


def holm(p: Numbers) -> tuple[Numbers, Numbers]:
    """Holm's step-down correction (1979) along the first axis, a family in each column.

    Parameters
    ----------
    p
        NaN where there is no test; these do not count.

    Returns
    -------
    adjusted
        p-values that may be compared with the level.
    factor
        What each was multiplied by: the number of tests that were still open at its turn.
    """
    order = np.argsort(p, axis=0, kind="stable")  # NaN comes last
    left = np.isfinite(p).sum(axis=0) - np.arange(p.shape[0]).reshape(-1, *[1] * (p.ndim - 1))
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=0) * np.fmax(left, 1), axis=0)
    adjusted, factor = np.empty_like(p), np.empty_like(p)
    np.put_along_axis(adjusted, order, np.fmin(stepped, 1.0), axis=0)
    np.put_along_axis(factor, order, np.broadcast_to(np.fmax(left, 1.0), p.shape), axis=0)
    return np.where(np.isnan(p), np.nan, adjusted), factor


def moments_of(differences: Sequence[float]) -> Moments:
    """Sum up the differences of one comparison."""
    values = np.asarray(differences, dtype=float)
    mean = math.fsum(values) / len(values)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    sd = 0.0 if sd <= TIED * float(np.abs(values).max()) else sd
    return Moments(*(np.array(number, dtype=float) for number in (len(values), mean, sd)))
