"""The corrected resampled t-test against scipy, and where the truth is known."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bie.analysis.paired import corrected_difference


def test_without_test_cells_it_is_the_paired_t_test() -> None:
    """As n_test / n_train goes to 0 nothing is left to correct."""
    values = np.random.default_rng(0).normal(0.3, 1, size=12)
    found = corrected_difference(values.tolist(), train_fraction=1 - 1e-12)
    known = ttest_1samp(values, 0)
    interval = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_the_interval_is_wider_by_the_factor_of_the_paper() -> None:
    values, n = [0.1, -0.2, 0.4, 0.3, 0.2], 5
    plain = ttest_1samp(values, 0).confidence_interval(0.95)
    found = corrected_difference(values, train_fraction=0.6)
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
        corrected.append(corrected_difference(splits, train_fraction=0.6).p)
    assert sum(p < 0.05 for p in plain) > 40
    assert sum(p < 0.05 for p in corrected) <= 20


def test_one_pair_has_no_interval() -> None:
    found = corrected_difference([0.5], train_fraction=0.6)
    assert (found.mean, found.n) == (0.5, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.p)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.2, 0.0)])
def test_equal_differences(value: float, p: float) -> None:
    found = corrected_difference([value] * 4, train_fraction=0.6)
    assert (found.low, found.high, found.p) == (value, value, p)
