"""Components of variance against the analysis of variance, statsmodels and known truth."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from bie.analysis.study import Study, read_study
from bie.analysis.variance import REST, _deviance, components, restricted_ml, variance_texts
from bie.planning.grammar import read_axes
from bie.seeds import SEEDS
from bie.store.paths import Tree
from bie.store.provenance import configuration_folder

ROW, COLUMN = np.divmod(np.arange(30), 6)


def drawn(seed: int, *sds: float) -> np.ndarray:
    """Values of a 5 x 6 table: effects of rows and columns and a rest."""
    rng = np.random.default_rng(seed)
    row, column, rest = (sd * rng.standard_normal(n) for sd, n in zip(sds, (5, 6, 30), strict=True))
    return 3 + row[ROW] + column[COLUMN] + rest


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


@pytest.fixture
def study_of(disk: Any, point: Any) -> Any:
    """A study whose runs have these seeds and these numbers."""

    def study(*runs: tuple[int, dict[str, int], float], **settings: Any) -> Study:
        for seed, own, value in runs:
            disk.record(point(**settings, **own), seed, {"ari": value, "kl_z": 1.0})
        return read_study(Tree(disk.root))

    return study


def crossed(y: np.ndarray) -> list[tuple[int, dict[str, int], float]]:
    """The split by itself, all else by the seed."""
    return [(int(b), {"split_seed": int(a)}, float(v)) for a, b, v in zip(ROW, COLUMN, y, strict=True)]


def test_what_follows_the_seed_together_is_one_source(study_of: Any) -> None:
    y = drawn(0, 1.0, 0.7, 0.5)
    table = components(study_of(*crossed(y)))
    assert table["source"].tolist() == ["split", "weights+order+noise+k-means", REST]
    assert table["levels"].tolist() == [5, 6, 30]
    expected = [each.sd for each in restricted_ml(y, {"a": ROW, "b": COLUMN})]
    assert table["sd"].tolist() == pytest.approx(expected)
    assert table["share"].sum() == pytest.approx(1)
    assert set(table["metric"]) == {"ari"}
    assert table[["dataset", "model", "split", "n"]].drop_duplicates().to_numpy().tolist() == [
        ["zinb", "scvi", "test", 30]
    ]


def test_models_and_settings_are_designs_of_their_own(study_of: Any) -> None:
    study_of(*crossed(drawn(0, 1.0, 0.7, 0.5)), model="scvi")
    for scale in (3.0, 4.0):
        mine = {"model": "scvi_mine", "mine__scale": scale}
        study = study_of(*crossed(drawn(int(scale), 1.0, 0.7, 0.5)), **mine)
    names = [text.splitlines()[0].split(",")[0] for text in variance_texts(study)]
    assert names == ["zinb scvi", "zinb scvi_mine mine.scale=3.0", "zinb scvi_mine mine.scale=4.0"]


def test_a_table_for_people_has_the_numbers_by_metric_and_source(disk: Any, point: Any) -> None:
    y = drawn(0, 1.0, 0.7, 0.5)
    for i, (seed, own, value) in enumerate(crossed(y)):
        disk.record(point(**own), seed, {"ari": value, "nmi": value / 100 + i % 2})
    study = read_study(Tree(disk.root))
    (text,) = variance_texts(study)
    first, second, *lines = text.splitlines()
    assert first == "zinb scvi, test cells: where the spread over 30 runs comes from"
    assert second == "sd by source (its number of seeds), 95 % interval; restricted maximum likelihood"
    cells = [re.split(r"  +", line) for line in lines]
    assert cells[0] == ["metric", "mean", "sd", "split (5)", "weights+order+noise+k-means (6)", "rest (30)"]
    assert [row[0] for row in cells[1:]] == ["NMI", "ARI"]  # as everywhere, not by name
    ari = components(study).query("metric == 'ari'")
    assert float(cells[2][1]) == pytest.approx(y.mean(), rel=5e-3)
    assert float(cells[2][2]) == pytest.approx(np.sqrt((ari["sd"] ** 2).sum()), rel=0.05)
    for cell, *ends in zip(cells[2][3:], ari["sd"], ari["low"], ari["high"], strict=True):
        assert [float(end) for end in re.split(r" \[|, |\]", cell)[:3]] == pytest.approx(ends, rel=0.05)


@pytest.mark.parametrize("value", [0.5, 0.1])  # the mean of thirty times .1 is not .1
def test_what_has_no_spread_or_no_number_is_left_out(study_of: Any, value: float) -> None:
    runs = [(seed, own, value) for seed, own, _ in crossed(np.zeros(30))]
    assert components(study_of(*runs)).empty


def test_a_metric_that_a_run_lacks_is_that_of_the_others(disk: Any, point: Any) -> None:
    y = drawn(0, 1.0, 0.7, 0.5)
    for i, (seed, own, value) in enumerate(crossed(y)):
        lacks = i in (0, 7), i > 0
        numbers = zip(("ari", "nmi", "asw"), (*lacks, False), strict=True)
        disk.record(point(**own), seed, {name: None if lack else value for name, lack in numbers})
    study, kept = read_study(Tree(disk.root)), ~np.isin(np.arange(30), (0, 7))
    table = components(study)
    assert set(table["metric"]) == {"asw", "ari"}, "one run tells nothing"
    ari, asw = (table[table["metric"] == name] for name in ("ari", "asw"))
    assert ari[["n", "n_done"]].drop_duplicates().to_numpy().tolist() == [[28, 30]]
    expected = restricted_ml(y[kept], {"a": ROW[kept], "b": COLUMN[kept]})
    assert ari["sd"].tolist() == pytest.approx([each.sd for each in expected], rel=1e-3)
    whole = restricted_ml(y, {"a": ROW, "b": COLUMN})
    assert asw["sd"].tolist() == pytest.approx([each.sd for each in whole], rel=1e-3)
    assert variance_texts(study)[0].splitlines()[-1] == "fewer runs have a number: ARI 28 of 30"


def test_a_source_that_does_not_repeat_where_a_metric_is_has_a_dash_in_its_row(disk: Any, point: Any) -> None:
    for i, (seed, own, value) in enumerate(crossed(drawn(0, 1.0, 0.7, 0.5))):
        disk.record(point(**own), seed, {"asw": value, "ari": value if i in (0, 1, 8, 9, 16, 17) else None})
    (text,) = variance_texts(read_study(Tree(disk.root)))
    header, asw, ari = (re.split(r"  +", line) for line in text.splitlines()[2:5])
    assert header[3:] == ["split (5)", "weights+order+noise+k-means (6)", "rest (30)"]
    assert (asw[0], ari[0], len(ari)) == ("ASW", "ARI", len(asw))
    assert [cell == "–" for cell in ari[3:]] == [False, True, False]
    assert text.splitlines()[-1] == "fewer runs have a number: ARI 6 of 30"


def test_an_ordinary_study_has_none(study_of: Any) -> None:
    assert variance_texts(study_of(*[(seed, {}, seed / 7) for seed in range(5)])) == []


def test_a_held_source_is_none_and_a_seed_apiece_is_the_rest(study_of: Any) -> None:
    runs = [
        (0, {"split_seed": 0, "init_seed": int(a), "noise_seed": i}, v)
        for i, (a, v) in enumerate(zip(ROW, drawn(0, 1, 0, 1), strict=True))
    ]
    assert components(study_of(*runs))["source"].tolist() == ["weights", REST]


def test_the_study_is_an_orthogonal_array() -> None:
    path = Path(configuration_folder()) / "study" / "variance.yaml"
    axes = read_axes(yaml.safe_load(path.read_text())["sweep"], {})
    columns = {
        key: values
        for axis in axes
        for key, values in zip(axis.keys, zip(*axis.values, strict=True), strict=True)
    }
    del columns["seed"]
    assert set(columns) == set(SEEDS)
    for one in SEEDS:
        for other in SEEDS:
            assert one == other or len(set(zip(columns[one], columns[other], strict=True))) == 49
