"""The tests against scipy, statsmodels and baycomp, and where the truth is known."""

import math

import baycomp
import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_rel
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from bie.analysis.paired import equivalent, holm, moments_of, new_cells, these_cells


def test_without_test_cells_it_is_the_paired_t_test() -> None:
    """As n_test / n_train goes to 0 nothing is left to correct."""
    values = np.random.default_rng(0).normal(0.3, 1, size=12)
    found = new_cells(moments_of(values.tolist()), 1e-12)
    known = ttest_1samp(values, 0)
    interval = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_the_interval_is_wider_by_the_factor_of_the_paper() -> None:
    values, n = [0.1, -0.2, 0.4, 0.3, 0.2], 5
    plain = ttest_1samp(values, 0).confidence_interval(0.95)
    found = new_cells(moments_of(values), 0.4 / 0.6)
    factor = math.sqrt((1 / n + 2 / 3) / (1 / n))
    assert found.high - found.low == pytest.approx(factor * (plain.high - plain.low))


def test_few_false_alarms_where_splits_overlap_and_nothing_differs() -> None:
    """Held-out means over Monte Carlo splits of one sample: the plain test cries wolf."""
    rng = np.random.default_rng(1)
    plain, corrected = [], []
    for _ in range(200):
        data = rng.normal(size=100)
        splits = [data[rng.permutation(100)[:40]].mean() for _ in range(10)]
        plain.append(ttest_1samp(splits, 0).pvalue)
        corrected.append(new_cells(moments_of(splits), 0.4 / 0.6).p)
    assert sum(p < 0.05 for p in plain) > 40
    assert sum(p < 0.05 for p in corrected) <= 20


def test_one_pair_has_no_interval() -> None:
    for found in (these_cells(moments_of([0.5])), new_cells(moments_of([0.5]), 0.4 / 0.6)):
        assert np.isnan([found.low, found.high, found.p]).all()


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.2, 2**-3), (-0.1, 2**-3)])
def test_equal_differences_are_worth_their_signs_not_certainty(value: float, p: float) -> None:
    moments = moments_of([value, 1 + value - 1, value, value])
    found = these_cells(moments)
    assert found.p == pytest.approx(p) == binomtest(4 if value else 2, 4).pvalue
    assert math.isnan(found.low)
    assert math.isnan(new_cells(moments_of([value] * 4), 0.4 / 0.6).p)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_these_cells_is_scipys_paired_t_test(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.2, 1, n), rng.normal(0, 1, n)
    found, known = these_cells(moments_of(list(a - b))), ttest_rel(a, b)
    interval = known.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, known.pvalue))


def test_new_cells_is_baycomps_correlated_t_test() -> None:
    """Its posterior without prior and region is the corrected t-test; one tenth of the cells is scored."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.6, 0.1, 10), rng.normal(0.5, 0.1, 10)
    p_greater = baycomp.CorrelatedTTest.probs(b, a)[1]
    assert new_cells(moments_of(list(a - b)), 0.1 / 0.9).p == pytest.approx(2 * (1 - p_greater))


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.2, 0.4])
def test_equivalence_is_that_of_statsmodels(margin: float) -> None:
    rng = np.random.default_rng(4)
    rows = [rng.normal(mean, 0.1, 12) for mean in (0.0, 0.05, 0.1, -0.15)]
    found = [bool(equivalent(moments_of(list(row)), np.array(margin))) for row in rows]
    assert found == [bool(DescrStatsW(row).ttost_mean(-margin, margin)[0] < 0.05) for row in rows]


@pytest.mark.parametrize("margin", [0.0125, 0.02])
def test_equivalence_of_two_pairs_has_one_degree_of_freedom(margin: float) -> None:
    row = [0.010, 0.011]
    expected = bool(DescrStatsW(row).ttost_mean(-margin, margin)[0] < 0.05)
    assert bool(equivalent(moments_of(row), np.array(margin))) == expected == (margin == 0.02)


def test_equal_differences_are_equivalent_from_five_seeds_on() -> None:
    found = [bool(equivalent(moments_of([0.01] * n), np.array(0.02))) for n in (1, 2, 4, 5, 9)]
    assert found == [False, False, False, True, True]
    assert not equivalent(moments_of([0.03] * 9), np.array(0.02))
    assert not equivalent(moments_of([0.02] * 9), np.array(0.02))  # on it is not within it
    assert not equivalent(moments_of([0.0] * 9), np.array(math.nan))


def test_holm_is_that_of_statsmodels_and_skips_what_was_not_tested() -> None:
    rng = np.random.default_rng(5)
    p = rng.uniform(0, 0.1, (7, 4)) ** 2
    p[[1, 5], 2] = np.nan
    p[:, 3] = np.nan
    adjusted, factor = holm(p)
    for column, known in zip(adjusted.T, p.T, strict=True):
        tested = np.isfinite(known)
        if tested.any():
            assert column[tested] == pytest.approx(multipletests(known[tested], method="holm")[1])
        assert np.isnan(column[~tested]).all()
    assert sorted(factor[:, 0]) == [1, 2, 3, 4, 5, 6, 7]
    assert adjusted[np.argmin(p[:, 0]), 0] == pytest.approx(7 * p[:, 0].min())
