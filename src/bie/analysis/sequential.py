"""When a comparison is decided, however often one looks: the confidence sequence of the t-statistic.

Looking after every seed at an interval for a fixed number of them is wrong far more often than it says. The
interval here holds the true mean at all numbers of seeds at once, with 95 % probability: the means whose
scale-invariant likelihood ratio, mixed over effect sizes N(0, 1/c²) in standard deviations, is below 1/alpha
(Wang & Ramdas 2024, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
variance", arXiv:2310.03722). The ratio is a martingale, so that Ville's inequality bounds the error, if the
differences are normal: of skewed ones it errs more often (docs/verdict.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bie.analysis.paired import ALPHA, TIED
from bie.analysis.verdicts import BETTER, EQUAL, WORSE

C2 = 0.5
"""c²: chosen for the narrowest interval at 6 to 15 pairs; any value declared before the data is valid."""
LEAST = 3
PRECISE = "precise"
"""Neither better, worse nor equal, but known to within the half-width that was asked for."""


@dataclass(frozen=True)
class Rule:
    """What ends a comparison.

    Attributes
    ----------
    metric
        Of the test cells.
    sign
        1 where higher is better, -1 where lower is.
    n_rows
        Comparisons that share the error of 5 % (Bonferroni).
    verdict
        Whether better, worse or equal ends it.
    half_width
        Of the interval, which ends it too; None: no width does.
    """

    metric: str
    sign: float
    n_rows: int
    verdict: bool
    half_width: float | None


@dataclass(frozen=True)
class Decision:
    """Why no further seed is needed: a verdict and the interval, which holds at any number of pairs."""

    verdict: str
    metric: str
    n_pairs: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        interval = f"{self.mean:+.3g} [{self.low:+.3g}, {self.high:+.3g}]"
        held = "valid at any number of them"
        return f"{self.verdict} after {self.n_pairs} pairs, {self.metric} {interval}, {held}"


def decide(differences: Sequence[float], rule: Rule, margin: float) -> Decision | None:
    """Whether these pairs decide a comparison; None: more are wanted.

    Parameters
    ----------
    differences
        Row minus baseline, one for each split; the order does not matter.
    margin
        Differences up to here mean nothing; NaN: no margin.
    """
    n = len(differences)
    if n < LEAST:
        return None
    mean = math.fsum(differences) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (n - 1))
    if sd <= TIED * max(map(abs, differences)):
        return None  # a spread of 0 is no certainty
    half = half_width(n, sd, ALPHA / rule.n_rows)
    verdict = _verdict(mean, half, rule, margin)
    return None if verdict is None else Decision(verdict, rule.metric, n, mean, mean - half, mean + half)


def _verdict(mean: float, half: float, rule: Rule, margin: float) -> str | None:
    if rule.verdict and abs(mean) > half and not abs(mean) <= margin / 2:  # a margin that is NaN bars nothing
        return BETTER if mean * rule.sign > 0 else WORSE
    if rule.verdict and abs(mean) + half < margin:
        return EQUAL
    return PRECISE if rule.half_width is not None and half <= rule.half_width else None


def half_width(n: int, sd: float, alpha: float = ALPHA) -> float:
    """Half of the interval for the mean of n normal numbers; infinite for too few.

    Examples
    --------
    >>> [round(half_width(n, 1.0), 2) for n in (5, 10, 30)]
    [2.61, 1.22, 0.63]
    """
    bound = ((n + C2) / (alpha**2 * C2)) ** (1 / n)
    slack = 1 - bound * C2 / (n + C2)
    return sd * math.sqrt((n - 1) / n * (bound - 1) / slack) if slack > 0 else math.inf
