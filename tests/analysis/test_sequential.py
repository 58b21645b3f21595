"""The interval that may be looked at after every pair: its martingale, its error, what it decides."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bie.analysis.sequential import C2, PRECISE, Decision, Rule, decide, half_width
from bie.analysis.verdicts import BETTER, EQUAL, WORSE

RULE = Rule("ari", 1.0, 1, verdict=True, half_width=None)


@pytest.mark.parametrize("n", [4, 7, 20])
def test_its_end_is_where_the_mixed_likelihood_ratio_is_one_over_alpha(n: int) -> None:
    """Of the noncentral t-statistic, mixed numerically over effect sizes N(0, 1/c²)."""
    alpha, sd = 0.05, 1.3
    half = half_width(n, sd, alpha)
    if math.isinf(half):
        return
    t = half / (sd / math.sqrt(n))

    def mixed(effect: float) -> float:
        return float(stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) * stats.norm.pdf(effect, scale=C2**-0.5))

    ratio = integrate.quad(mixed, -12, 12, limit=200)[0] / stats.t.pdf(t, n - 1)
    assert ratio == pytest.approx(1 / alpha, rel=1e-3)


def looked_at(draws_dn: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """Whether 0 is ever outside, looking after every pair from the third on."""
    ever = np.zeros(len(draws_dn), bool)
    for n in range(3, draws_dn.shape[1] + 1):
        part = draws_dn[:, :n]
        half = np.array([half_width(n, 1.0, alpha)]) * part.std(axis=1, ddof=1)
        ever |= np.abs(part.mean(axis=1)) > half
    return ever


def test_looking_after_every_pair_errs_less_often_than_it_says() -> None:
    wrong = looked_at(np.random.default_rng(0).standard_normal((4000, 100))).mean()
    assert 0.005 < wrong < 0.05


def test_the_interval_for_a_fixed_number_would_err_often() -> None:
    draws = np.random.default_rng(0).standard_normal((1000, 100))
    ever = np.zeros(1000, bool)
    for n in range(3, 101):
        ever |= stats.ttest_1samp(draws[:, :n], 0, axis=1).pvalue < 0.05
    assert ever.mean() > 0.25


def test_verdicts_follow_sign_margin_and_interval() -> None:
    draws = np.random.default_rng(1).normal(0.1, 0.02, 12).tolist()
    found = decide(draws, RULE, math.nan)
    assert isinstance(found, Decision)
    assert (found.verdict, found.n_pairs) == (BETTER, 12)
    assert found.low > 0
    assert decide([-x for x in draws], RULE, 0.02).verdict == WORSE  # type: ignore[union-attr]
    lower = Rule("elbo", -1.0, 1, verdict=True, half_width=None)
    assert decide(draws, lower, math.nan).verdict == WORSE  # type: ignore[union-attr]
    assert decide(draws, RULE, 0.3).verdict == EQUAL  # type: ignore[union-attr]
    assert decide(draws, RULE, 0.15).verdict == BETTER  # type: ignore[union-attr] # beyond half the margin
    assert (
        decide([x - 0.095 for x in draws], RULE, 0.02) is None
    )  # neither beyond half the margin nor within it


def test_a_width_that_is_reached_is_enough() -> None:
    draws = np.random.default_rng(1).normal(0.0, 0.02, 12).tolist()
    width = half_width(12, float(np.std(draws, ddof=1)))
    for asked, verdict in ((width * 1.01, PRECISE), (width * 0.99, None)):
        found = decide(draws, Rule("ari", 1.0, 1, verdict=False, half_width=asked), math.nan)
        assert (found.verdict if found else None) == verdict


def test_few_pairs_and_ties_decide_nothing() -> None:
    assert decide([0.5, 0.5001], RULE, math.nan) is None
    assert decide([0.5] * 50, RULE, math.nan) is None


def test_more_rows_need_more() -> None:
    assert half_width(10, 1.0, 0.05 / 10) > half_width(10, 1.0, 0.05)
    draws = np.random.default_rng(1).normal(0.1, 0.02, 12).tolist()
    found = decide(draws, Rule("ari", 1.0, 10, verdict=True, half_width=None), math.nan)
    assert found is not None
    assert found.high - found.mean == pytest.approx(half_width(12, float(np.std(draws, ddof=1)), 0.05 / 10))
    assert half_width(3, 1.0, 0.1) == math.inf
