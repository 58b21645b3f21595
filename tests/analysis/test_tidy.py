import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from bie.analysis.study import read_study
from bie.analysis.tidy import long_columns, long_table, records, summarise
from bie.store.paths import Tree

Make = Callable[..., Any]


def summary_of(disk: Any) -> dict[tuple[str, str, str], Any]:
    rows = summarise(read_study(Tree(disk.root))).to_dict("records")
    return {(row["config_id"], row["split"], row["metric"]): row for row in rows}


def test_mean_sd_and_n_are_those_of_the_runs(disk: Any, point: Make) -> None:
    draw = random.Random(1).gauss
    points = [point(), *(point("scvi_mine", mine__scale=s) for s in (1000.0, 5000.0))]
    expected: dict[tuple[str, str, str], list[float]] = {}
    for p in points:
        for seed in range(7):
            train, test = ({"ari": draw(0.7, 0.1), "elbo": draw(1200, 30)} for _ in range(2))
            disk.record(p, seed, test, train)
            for split, numbers in (("train", train), ("test", test)):
                for metric, value in numbers.items():
                    expected.setdefault((p.id, split, metric), []).append(value)
    table = summary_of(disk)
    assert len(table) == len(expected) == 3 * 2 * 2
    for key, values in expected.items():
        row = table[key]
        assert row["mean"] == pytest.approx(statistics.fmean(values), rel=1e-12)
        assert row["sd"] == pytest.approx(statistics.stdev(values), rel=1e-9)
        assert (row["n"], row["n_expected"], row["complete"]) == (7, 7, True)


def test_nulls_and_missing_runs_lower_n_never_the_mean(disk: Any, point: Make) -> None:
    scvi = point()
    disk.plan([scvi], range(5))
    for seed, value in enumerate([0.2, None, 0.6]):
        disk.record(scvi, seed, {"ari": value, "be": 0.5}, missing={"test.ari": "one label"})
    disk.failure(scvi, 3, "nan")
    table = summary_of(disk)
    ari, be = table[scvi.id, "test", "ari"], table[scvi.id, "test", "be"]
    assert (ari["n"], ari["n_expected"], ari["complete"]) == (2, 5, False)
    assert ari["mean"] == pytest.approx(0.4)
    assert ari["sd"] == pytest.approx(statistics.stdev([0.2, 0.6]))
    assert (be["n"], be["sd"]) == (3, 0.0)


def test_one_run_has_a_mean_and_no_sd(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.25})
    row = summary_of(disk)[point().id, "test", "ari"]
    assert (row["mean"], row["n"], row["complete"]) == (0.25, 1, True)
    assert math.isnan(row["sd"])


def test_a_grid_point_without_any_run_has_its_rows(disk: Any, point: Make) -> None:
    done, waiting = point(), point("scvi_mine")
    disk.plan([done, waiting], range(4))
    disk.record(done, 0, {"ari": 0.25, "be": 0.5})
    row = summary_of(disk)[waiting.id, "test", "ari"]
    assert (row["n"], row["n_expected"], row["complete"]) == (0, 4, False)
    assert math.isnan(row["mean"])
    assert len(summary_of(disk)) == 2 * 2 * 2


def test_long_table_row_by_row(disk: Any, point: Make) -> None:
    scvi, mine = point(), point("scvi_mine", mine__scale=10.0)
    disk.record(mine, 1, {"ari": None, "be": 0.5}, {"ari": 0.1, "be": 0.2}, missing={"test.ari": 'nö, "1"'})
    disk.record(point("scvi_mine", mine__scale=20.0), 1, {"ari": 0.3, "be": 0.5})
    disk.record(scvi, 1, {"ari": 0.4, "be": 0.6}, git_commit=None)
    disk.failure(scvi, 2, "nan")  # no numbers: not in this table
    long = long_table(read_study(Tree(disk.root)))
    assert list(long.columns) == [
        "run_id", "config_id", "split_id", "dataset", "model", "seed", "mine.scale",
        "split", "metric", "value", "reason", "code",
    ]  # fmt: skip
    assert len(long) == 3 * 2 * 2
    assert long["model"].tolist() == ["scvi"] * 4 + ["scvi_mine"] * 8
    first, row = long.iloc[0], long[(long["config_id"] == mine.id) & (long["split"] == "test")].iloc[0]
    assert (first["split"], first["metric"], first["value"], first["code"]) == ("train", "ari", 0.4, "b" * 12)
    assert first["mine.scale"] is pd.NA
    assert (row["metric"], row["reason"], row["mine.scale"]) == ("ari", 'nö, "1"', 10.0)
    assert math.isnan(row["value"])
    assert long["reason"].notna().sum() == long["value"].isna().sum() == 1


@pytest.mark.parametrize("runs", [slice(None), slice(1, 3), slice(0, 0)])
def test_columns_for_parquet_are_those_of_the_long_table(runs: slice, disk: Any, point: Make) -> None:
    missing = {"test.ari": "one label"}
    disk.record(point("scvi_mine", mine__scale=1.0), 1, {"ari": None, "be": 0.5}, missing=missing)
    disk.record(point("scvi_mine", mine__scale=2.0, mine__critic="joint"), 2, {"ari": 0.3})
    disk.record(point(), 1, {"ari": 0.4, "be": 0.6}, git_commit=None)
    study = read_study(Tree(disk.root))
    assert {"mine.scale", "mine.critic"} <= set(study.grid)
    rows = long_table(study, runs).to_dict("records")
    plain = [{key: None if pd.isna(value) else value for key, value in row.items()} for row in rows]
    assert long_columns(study, runs).to_pylist() == plain
    summary = summarise(study).drop(columns=list(study.grid))
    assert str(records(summary)) == str(summary.to_dict("records"))


def test_models_at_one_seed_share_the_split_id(disk: Any, point: Make) -> None:
    for p in (point(), point("scvi_mine")):
        disk.record(p, 3, {"ari": 0.4})
    long = long_table(read_study(Tree(disk.root)))
    assert long["split_id"].nunique() == 1
    assert long["run_id"].nunique() == 2
