"""The verdict on a mean paired difference: better, worse, equal within a margin, or open.

In this order: `better` or `worse` where 0 is excluded on these cells after Holm's correction and the mean is
beyond half the margin, if there is one; `equal` where two one-sided tests put the mean within the margin;
`open` else, with the number of further seeds that would close it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bie.analysis.paired import ALPHA, Inference, Moments, Numbers, equivalent, holm, these_cells

BETTER, WORSE, EQUAL, OPEN = "better", "worse", "equal", "open"
SHOWN, NOT_SHOWN = "shown", "not shown"
POWER = 0.8
"""Chance with which the seeds that are asked for close an open verdict."""
MOST_SEEDS = 100_000
"""More seeds than this nobody runs: then no number is named."""


@dataclass(frozen=True)
class Judged:
    """What comes of many comparisons; arrays of shape (rows of the table, metrics).

    Attributes
    ----------
    inference
        On these cells.
    p_holm
        Its p-values, corrected over the rows.
    verdict
        `BETTER`, `WORSE`, `EQUAL` or `OPEN`; empty for metrics of which no direction is better.
    more_seeds
        Where it is open: how many seeds more would close it with probability `POWER`, if mean and variance
        are as seen so far; NaN where it is closed or no number can be named.
    """

    inference: Inference
    p_holm: Numbers
    verdict: NDArray[np.object_]
    more_seeds: Numbers


def judge(moments: Moments, sign: Numbers, margin: Numbers) -> Judged:
    """Give the verdicts on the rows of one data set, a family of tests in each column.

    Parameters
    ----------
    moments
        Differences from the baseline, shape (rows, metrics).
    sign
        Of each metric: 1 where higher is better, -1 where lower is, 0 where neither is.
    margin
        Differences up to here mean nothing, shape (rows, metrics); NaN where none is set.
    """
    found = these_cells(moments)
    p_holm, factor = holm(found.p)
    differs = (p_holm < ALPHA) & ~(np.abs(moments.mean) <= margin / 2)  # a margin that is NaN bars nothing
    gain = sign * moments.mean
    verdict = np.full(moments.mean.shape, OPEN, dtype=object)
    verdict[equivalent(moments, margin)] = EQUAL
    verdict[differs & (gain > 0)], verdict[differs & (gain < 0)] = BETTER, WORSE
    more = np.where(verdict == OPEN, seeds_needed(moments, margin, ALPHA / factor) - moments.n, np.nan)
    verdict[np.broadcast_to(sign == 0, verdict.shape)] = ""
    return Judged(found, p_holm, verdict, np.where(verdict == OPEN, np.maximum(more, 1), np.nan))


def shown(found: Inference) -> NDArray[np.object_]:
    """Whether the interval for new cells excludes 0."""
    return np.where((found.low > 0) | (found.high < 0), SHOWN, NOT_SHOWN).astype(object)


def seeds_needed(moments: Moments, margin: Numbers, alpha: Numbers | float = ALPHA) -> Numbers:
    """Seeds after which a verdict is better, worse or equal with probability `POWER`.

    Parameters
    ----------
    moments
        Differences so far; taken to be the truth.
    margin
        NaN where none is set.
    alpha
        Level of the test of a difference (two-sided), after correction.

    Returns
    -------
    array
        In all, not in addition; NaN where there is no spread yet, or more than `MOST_SEEDS` are needed.
    """
    mean, sd = np.abs(moments.mean), np.where(moments.sd > 0, moments.sd, np.nan)
    matters = ~(mean <= margin / 2) & (mean > 0)
    differ = _sample_size(mean, sd, 1 - np.asarray(alpha) / 2, POWER)
    # of the two one-sided tests each may miss, where the mean is about 0
    equal = _sample_size(margin - mean, sd, np.asarray(1 - ALPHA), (1 + POWER) / 2)
    spread = np.fmin(np.where(matters, differ, np.nan), np.where(mean < margin, equal, np.nan))
    signs = np.fmin(
        np.where(matters, 1 - np.log2(alpha), np.nan), np.where(mean < margin, -np.log2(ALPHA), np.nan)
    )
    needed = np.ceil(np.where(moments.tied, np.floor(signs) + 1, spread))
    return np.where((needed <= MOST_SEEDS) & (moments.n >= 2), needed, np.nan)


def _sample_size(distance: Numbers, sd: Numbers, level: Numbers, power: float) -> Numbers:
    """Seeds at which a t-test tells a distance from 0: the z-test's, corrected (Guenther 1981)."""
    from scipy.special import ndtri

    effect = np.where(distance > 0, distance, np.nan) / sd
    return np.asarray(((ndtri(level) + ndtri(power)) / effect) ** 2 + ndtri(level) ** 2 / 2)
