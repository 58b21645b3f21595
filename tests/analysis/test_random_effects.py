"""Standard deviations of effects against the analysis of variance, statsmodels and known truth."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bie.analysis.random_effects import REST, _deviance, restricted_ml
from tests.analysis.crossed import COLUMN, ROW, drawn


def test_of_a_balanced_table_are_those_of_the_analysis_of_variance() -> None:
    y = drawn(0, 1.0, 0.7, 0.5)
    table = y.reshape(5, 6)
    rows, columns = table.mean(1), table.mean(0)
    inner = table - rows[:, None] - columns + y.mean()
    rest = (inner**2).sum() / 20
    expected = [6 * rows.var(ddof=1) - rest, 5 * columns.var(ddof=1) - rest]
    found = restricted_ml(y, {"a": ROW, "b": COLUMN})
    assert [each.sd**2 for each in found] == pytest.approx([expected[0] / 6, expected[1] / 5, rest], rel=1e-4)
    assert [(each.source, each.levels) for each in found] == [("a", 5), ("b", 6), (REST, 30)]
    assert all(each.low < each.sd < each.high for each in found)


def test_of_a_table_with_gaps_are_those_of_statsmodels() -> None:
    kept = np.random.default_rng(3).random(30) < 0.8
    y, row, column = drawn(1, 1.0, 0.7, 0.5)[kept], ROW[kept], COLUMN[kept]
    from statsmodels.regression.mixed_linear_model import MixedLM

    data = pd.DataFrame({"y": y, "row": row, "column": column, "all": 1})
    parts = {"row": "0 + C(row)", "column": "0 + C(column)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM.from_formula("y ~ 1", groups="all", vc_formula=parts, data=data).fit(reml=True)
    expected = dict(zip(fit.model.exog_vc.names, fit.vcomp, strict=True)) | {REST: fit.scale}
    found = {each.source: each.sd**2 for each in restricted_ml(y, {"row": row, "column": column})}
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_deviance_is_that_of_the_whole_covariance_matrix_and_its_slope_too() -> None:
    kept = np.random.default_rng(3).random(30) < 0.7
    y, factors = drawn(1, 1.0, 0.7, 0.5)[kept], [ROW[kept], COLUMN[kept]]
    deviance, sds = _deviance(y, factors), np.array([0.8, 0.3, 0.6])

    def whole(sds: np.ndarray) -> float:
        blocks = [codes[:, None] == codes for codes in (*factors, np.arange(len(y)))]
        v = sum(sd**2 * block for sd, block in zip(sds, blocks, strict=True))
        inverse, one = np.linalg.inv(v), np.ones(len(y))
        rest = y - (one @ inverse @ y) / (one @ inverse @ one)
        parts = np.linalg.slogdet(v)[1], np.log(one @ inverse @ one), rest @ inverse @ rest
        return float(sum(parts))

    value, slope = deviance(sds)
    assert value == pytest.approx(whole(sds), rel=1e-9)
    step = 1e-5 * np.eye(3)
    by_differences = [(whole(sds + h) - whole(sds - h)) / 2e-5 for h in step]
    assert slope == pytest.approx(by_differences, rel=1e-5)


def test_a_source_that_does_nothing_has_an_interval_from_zero() -> None:
    found = restricted_ml(drawn(2, 1.0, 0.0, 0.5), {"a": ROW, "b": COLUMN})
    assert found[1].low == 0.0 < found[1].high < 0.5
    assert found[0].low > 0.3


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    hits = [
        each.low <= truth <= each.high
        for seed in range(40)
        for each, truth in zip(
            restricted_ml(drawn(seed, 1.0, 0.7, 0.5), {"a": ROW, "b": COLUMN}), (1.0, 0.7, 0.5), strict=True
        )
    ]
    assert sum(hits) >= 0.88 * len(hits)  # 95 % less three standard errors of 120 hits


def test_shift_and_unit_do_what_they_should() -> None:
    y, factors = drawn(0, 1.0, 0.7, 0.5), {"a": ROW, "b": COLUMN}
    plain, other = restricted_ml(y, factors), restricted_ml(1e-3 * y - 7, factors)
    for one, two in zip(plain, other, strict=True):
        assert [two.sd, two.low, two.high] == pytest.approx(
            [1e-3 * v for v in (one.sd, one.low, one.high)], rel=1e-2
        )
