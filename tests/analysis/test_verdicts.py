"""Verdicts: their order, what is still needed, and how often they are wrong where the truth is known."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from bie.analysis.paired import Inference, Moments, new_cells
from bie.analysis.verdicts import BETTER, EQUAL, OPEN, WORSE, judge, seeds_needed, shown


def moments(mean: object, sd: object, n: object = 10) -> Moments:
    """One metric, a row for each mean."""
    column = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=float)) for x in (n, mean, sd)))
    return Moments(*(values[:, None] for values in column))


def verdicts(found: Moments, margin: float = math.nan, sign: float = 1.0) -> list[str]:
    return list(judge(found, np.array([sign]), np.full(found.mean.shape, margin)).verdict[:, 0])


def test_the_direction_is_the_metrics() -> None:
    found = moments([0.5, -0.5, 0.01], 0.1)
    assert verdicts(found) == [BETTER, WORSE, OPEN]
    assert verdicts(found, sign=-1.0) == [WORSE, BETTER, OPEN]
    assert verdicts(found, sign=0.0) == ["", "", ""]


def test_a_certain_difference_below_half_the_margin_is_none() -> None:
    found = moments([0.009, 0.011, 0.1], 0.001)
    assert verdicts(found, margin=0.02) == [EQUAL, BETTER, BETTER]
    assert verdicts(found, margin=0.0) == verdicts(found) == [BETTER, BETTER, BETTER]


def test_what_is_certain_and_small_is_equal() -> None:
    for sd in np.linspace(0.001, 0.1, 30):
        found = moments(0.0095, sd, 12)
        certain = judge(found, np.array([1.0]), np.array([[math.nan]])).verdict[0, 0] == BETTER
        assert verdicts(found, margin=0.02)[0] in ([EQUAL] if certain else [EQUAL, OPEN])


def test_holm_counts_the_rows_that_were_tested() -> None:
    one = moments(0.07, 0.09)  # p = .036
    assert verdicts(one) == [BETTER]
    assert verdicts(moments([0.07, 0.0, math.nan], 0.09, [10, 10, 0]))[0] == OPEN  # not certain as one of two
    assert verdicts(moments([0.07, math.nan], 0.09, [10, 0]))[0] == BETTER


def test_no_pairs_or_one_is_open_with_no_number() -> None:
    found = judge(moments([0.5, math.nan], math.nan, [1, 0]), np.array([1.0]), np.full((2, 1), 0.02))
    assert list(found.verdict[:, 0]) == [OPEN, OPEN]
    assert np.isnan(found.more_seeds).all()
    assert np.isnan(found.inference.p).all()


def test_all_seeds_alike_are_judged_by_their_signs() -> None:
    same = moments(0.0, 0.0, 4)
    found = judge(same, np.array([1.0]), np.array([[0.02]]))
    assert (found.verdict[0, 0], found.more_seeds[0, 0], found.inference.p[0, 0]) == (OPEN, 1, 1.0)
    assert verdicts(moments(0.0, 0.0, 5), margin=0.02) == [EQUAL]
    assert verdicts(moments(0.0, 0.0, 50)) == [OPEN]  # without a margin nothing is ever equal
    assert verdicts(moments(0.3, 0.0, 5)) == [OPEN]
    assert judge(moments(0.3, 0.0, 4), np.array([1.0]), np.array([[0.02]])).more_seeds[0, 0] == 2
    assert verdicts(moments(0.3, 0.0, 6)) == [BETTER]
    two = judge(moments(0.001, 0.0, 2), np.array([1.0]), np.array([[0.02]]))  # will be equal at 5
    assert two.more_seeds[0, 0] == 3


@pytest.mark.parametrize(("mean", "sd"), [(0.5, 1.0), (0.1, 0.09), (1.0, 0.6), (0.02, 0.3)])
def test_seeds_for_a_difference_are_those_of_statsmodels(mean: float, sd: float) -> None:
    known = TTestPower().solve_power(effect_size=mean / sd, alpha=0.05, power=0.8)
    assert seeds_needed(moments(mean, sd), np.array([[math.nan]]))[0, 0] == pytest.approx(known, abs=1.5)


def test_seeds_for_a_difference_are_guenthers() -> None:
    """Guenther 1981, to the seed: here the correction decides."""
    effect, z = 0.88376, norm.ppf(0.975)
    needed = ((z + norm.ppf(0.8)) / effect) ** 2 + z**2 / 2
    assert seeds_needed(moments(effect, 1.0), np.array([[math.nan]]))[0, 0] == math.ceil(needed) == 12
    assert seeds_needed(moments(1.0, 1.0), np.array([[math.nan]]))[0, 0] == 10


@pytest.mark.parametrize("mean", [0.02, 0.03])
def test_a_mean_on_the_margin_or_beyond_it_can_only_become_a_difference(mean: float) -> None:
    none, set_to = (seeds_needed(moments(mean, 0.05), np.array([[m]]))[0, 0] for m in (math.nan, 0.02))
    assert none == set_to


def test_intervals_on_either_side_of_0_are_shown() -> None:
    low, high = np.array([-0.9, -2.0, -0.5, 0.1]), np.array([-0.5, 0.5, 0.5, 0.2])
    found = shown(Inference(low, high, np.full(4, math.nan)))
    assert list(found) == ["shown", "not shown", "not shown", "shown"]


def test_seeds_for_equality_give_it_as_often_as_promised() -> None:
    needed = int(seeds_needed(moments(0.0, 0.05), np.array([[0.02]]))[0, 0])
    rng = np.random.default_rng(1)
    draws = rng.normal(0, 0.05, (2000, needed))
    found = moments(draws.mean(axis=1), draws.std(axis=1, ddof=1), needed)
    equal = [
        verdict == EQUAL
        for row in zip(*vars(found).values(), strict=True)
        for verdict in verdicts(Moments(*(x[None] for x in row)), margin=0.02)
    ]
    assert 0.77 < np.mean(equal) < 0.9


def test_nothing_closes_a_difference_of_exactly_nothing() -> None:
    assert math.isnan(seeds_needed(moments(0.0, 0.1), np.array([[math.nan]]))[0, 0])
    assert math.isnan(seeds_needed(moments(1e-6, 0.1), np.array([[math.nan]]))[0, 0])  # 10^11 seeds


def test_wrong_as_rarely_as_promised_where_nothing_differs() -> None:
    """Split means of one sample: on the sample's own mean and on that of the population."""
    rng, wrong_here, wrong_there = np.random.default_rng(2), 0, 0
    for _ in range(400):
        cells = rng.normal(size=200)
        splits = np.array([cells[rng.permutation(200)[:80]].mean() for _ in range(20)])
        here = moments(splits.mean() - cells.mean(), splits.std(ddof=1), 20)  # truth on these cells: 0
        there = moments(splits.mean(), splits.std(ddof=1), 20)  # truth on new cells: 0
        wrong_here += verdicts(here) != [OPEN]
        wrong_there += shown(new_cells(there, 40 / 60))[0, 0] == "shown"
    assert wrong_here <= 32  # 5 % of 400, and 2.8 binomial standard deviations
    assert 4 <= wrong_there <= 32


def test_one_false_verdict_in_a_table_of_ten_rows_is_as_rare() -> None:
    rng = np.random.default_rng(6)
    draws = rng.normal(size=(400, 10, 12))
    tables = [moments(t.mean(axis=1), t.std(axis=1, ddof=1), 12) for t in draws]
    found = Counter(set(verdicts(table)) != {OPEN} for table in tables)
    assert found[True] <= 32


def test_an_effect_of_one_standard_deviation_is_found() -> None:
    rng = np.random.default_rng(7)
    draws = rng.normal(1.0, 1.0, (300, 10))
    found = [verdicts(moments(d.mean(), d.std(ddof=1), 10))[0] for d in draws]
    assert found.count(WORSE) == 0
    assert found.count(BETTER) / 300 == pytest.approx(TTestPower().power(1.0, nobs=10, alpha=0.05), abs=0.07)
