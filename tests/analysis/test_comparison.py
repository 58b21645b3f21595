"""Comparisons of a study on disk, each number against scipy on the records themselves."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from bie.analysis import compare, load
from bie.analysis.comparison import COLUMNS, bounds, differences, if_missing
from bie.errors import BadInput

Make = Callable[..., Any]


@pytest.fixture
def arms(disk: Any, point: Make) -> dict[str, Any]:
    """scVI and two scales of MINE at 8 seeds, one of them failed; ARI better, ELBO worse by construction."""
    rng = np.random.default_rng(0)
    split = {"split.train_fraction": 0.6}
    points = {
        "scvi": point(other=split),
        "mine": point("scvi_mine", other=split, mine__scale=10.0),
        "mine20": point("scvi_mine", other=split, mine__scale=20.0),
    }
    disk.plan(list(points.values()), range(8))
    values: dict[str, Any] = {name: {} for name in points}
    for name, p in points.items():
        for seed in range(8):
            if (name, seed) == ("mine20", 3):
                disk.failure(p, seed, "nan")
                continue
            gain = 0.0 if name == "scvi" else 0.2
            test = {"ari": rng.normal(0.5 + gain, 0.05), "elbo": rng.normal(700 + 50 * gain, 1), "kl_z": 1.0}
            values[name][seed] = test
            disk.record(p, seed, test, {"ari": test["ari"] + 0.1, "elbo": 600.0, "kl_z": 1.0})
    return {"points": points, "values": values, "root": disk.root}


def row_of(table: pd.DataFrame, arm: Any, metric: str, split: str = "test") -> Any:
    chosen = (table["config_id"] == arm.id) & (table["metric"] == metric) & (table["split"] == split)
    (row,) = table[chosen].to_dict("records")
    return row


def test_columns_and_rows_are_the_contracts(arms: dict[str, Any]) -> None:
    table = compare(load(arms["root"]))
    assert list(table.columns) == ["dataset", "model", "mine.scale", "split", "metric", *COLUMNS]
    assert len(table) == 2 * 2 * 3  # grid points x splits x metrics
    assert set(table["baseline_id"]) == {arms["points"]["scvi"].id}


@pytest.mark.parametrize("arm", ["mine", "mine20"])
@pytest.mark.parametrize("metric", ["ari", "elbo"])
def test_numbers_are_those_of_the_common_splits(arms: dict[str, Any], arm: str, metric: str) -> None:
    ours, theirs = arms["values"][arm], arms["values"]["scvi"]
    seeds = sorted(ours.keys() & theirs.keys())
    a, b = (np.array([v[s][metric] for s in seeds]) for v in (ours, theirs))
    row, known = row_of(compare(load(arms["root"])), arms["points"][arm], metric), ttest_rel(a, b)
    interval = known.confidence_interval(0.95)
    assert row["n_pairs"] == len(seeds)
    assert row["mean"] == pytest.approx((a - b).mean())
    assert row["sd"] == pytest.approx((a - b).std(ddof=1))
    assert (row["low"], row["high"], row["p"]) == pytest.approx((interval.low, interval.high, known.pvalue))
    wider = math.sqrt(1 + len(seeds) * 0.4 / 0.6)
    assert row["high_new"] - row["mean"] == pytest.approx(wider * (row["high"] - row["mean"]))
    assert row["win_rate"] == np.mean(a > b if metric == "ari" else a < b)
    assert row["verdict"] == ("better" if metric == "ari" else "worse")
    assert row["p"] <= row["p_holm"] <= 2 * row["p"] + 1e-12


def test_ties_and_metrics_without_direction(arms: dict[str, Any]) -> None:
    table = compare(load(arms["root"]))
    tied = row_of(table, arms["points"]["mine"], "elbo", "train")
    assert (tied["mean"], tied["sd"], tied["p"], tied["win_rate"]) == (0, 0, 1, 0.5)
    assert math.isnan(tied["low"])
    assert tied["verdict"] == "open"
    none = row_of(table, arms["points"]["mine"], "kl_z")
    assert none["verdict"] == ""
    assert pd.isna(none["more_seeds"])


def test_margins_and_baseline_can_be_given(arms: dict[str, Any]) -> None:
    study, points = load(arms["root"]), arms["points"]
    assert row_of(compare(study), points["mine"], "ari")["margin"] == 0.02
    loose = row_of(compare(study, margins={"ari": 1, "elbo": "50%"}), points["mine"], "ari")
    assert (loose["margin"], loose["verdict"]) == (1.0, "equal")
    relative = row_of(compare(study, margins={"elbo": "50%"}), points["mine"], "elbo")
    baseline = np.mean([v["elbo"] for v in arms["values"]["scvi"].values()])
    assert relative["margin"] == pytest.approx(baseline / 2)
    for name in ("scvi_mine", "scvi_mine mine.scale=10", "mine.scale=10", points["mine"].id[:8]):
        turned = row_of(compare(study, baseline=name), points["scvi"], "ari")
        assert (turned["verdict"], turned["baseline_id"]) == ("worse", points["mine"].id)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"baseline": "scvi_mind"}, ["study.baseline=scvi_mind", "scvi_mine mine.scale=10", "scvi;"]),
        ({"baseline": "scvi mine.scale=10"}, ["study.baseline=scvi mine.scale=10"]),
        ({"margins": {"arii": 1}}, ["study.margins.arii", "Did you mean ari?"]),
        ({"margins": {"ari": -1}}, ["study.margins.ari=-1", "number >= 0"]),
        ({"margins": {"ari": "2 %"}}, ["study.margins.ari=2 %"]),
        ({"margins": {"ari": True}}, ["study.margins.ari=True"]),
    ],
)
def test_bad_values_are_named(arms: dict[str, Any], given: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        compare(load(arms["root"]), **given)
    assert all(text in str(error.value) for text in says[:2])


def test_each_data_set_has_its_own_baseline_and_family(disk: Any, point: Make) -> None:
    for dataset, gain in (("a", 0.3), ("b", -0.3)):
        for seed in range(5):
            disk.record(point(dataset=dataset), seed, {"ari": 0.5 + seed / 100})
            disk.record(point("scvi_mine", dataset=dataset), seed, {"ari": 0.5 + gain - seed / 100})
    disk.record(point("pca", dataset="c"), 0, {"ari": 0.5})
    table = compare(load(disk.root))
    found = table[table["split"] == "test"].set_index("dataset")["verdict"].to_dict()
    assert found == {"a": "better", "b": "worse"}


def test_rows_on_other_cells_are_never_compared(disk: Any, point: Make) -> None:
    """One data set by name, two by content: each has its own first scVI."""
    for content in ("weak", "strong"):
        for seed in range(3):
            for model in ("scvi", "scvi_mine"):
                p = point(model, other={"dataset.preset": content})
                disk.record(p, seed, {"ari": 0.1 * seed})
    table = compare(load(disk.root))
    assert len(table) == 2 * 2
    assert table["baseline_id"].nunique() == 2
    assert set(table["baseline_id"]) == {
        point(other={"dataset.preset": content}).id for content in ("weak", "strong")
    }


def test_several_seeds_on_one_split_count_once(disk: Any, point: Make) -> None:
    rng, rows = np.random.default_rng(1), []
    for seed in range(12):
        values = rng.normal(size=2)
        for p, value in zip((point(), point("scvi_mine")), values, strict=True):
            path = disk.record(p, seed, {"ari": float(value)})
            path.write_text(path.read_text().replace(split_of(path), f"split{seed // 3}"))
        rows.append(values[1] - values[0])
    (row,) = (r for r in compare(load(disk.root)).to_dict("records") if r["split"] == "test")
    means = np.array(rows).reshape(4, 3).mean(axis=1)
    assert (row["n_pairs"], row["mean"], row["sd"]) == pytest.approx((4, means.mean(), means.std(ddof=1)))


def split_of(path: Any) -> str:
    import json

    return str(json.loads(path.read_text())["split_id"])


def test_a_study_without_pairs_has_open_rows(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    disk.record(point("scvi_mine"), 1, {"ari": 0.6})
    table = compare(load(disk.root))
    assert table["n_pairs"].tolist() == [0, 0]
    assert set(table["verdict"]) == {"open"}
    assert table[["mean", "p", "win_rate"]].isna().all(axis=None)
    assert set(table["new_cells"]) == {"not shown"}
    assert differences(load(disk.root)).missing.tolist() == [[0, 0]]  # no seed was asked of both


def test_a_study_of_baselines_alone_has_no_rows(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    table = compare(load(disk.root))
    assert list(table.columns) == ["dataset", "model", "split", "metric", *COLUMNS]
    assert table.empty


@pytest.mark.parametrize(("metric", "worst", "best"), [("ari", min, max), ("elbo", max, min)])
def test_what_is_missing_is_as_the_worst_or_the_best_that_was_seen(
    arms: dict[str, Any], metric: str, worst: Callable[..., float], best: Callable[..., float]
) -> None:
    found = differences(load(arms["root"]))
    place = found.rows["config_id"].tolist().index(arms["points"]["mine20"].id)
    column = found.columns.get_loc(("test", metric))
    ours, theirs = arms["values"]["mine20"], arms["values"]["scvi"]
    seen = [ours[seed][metric] - theirs[seed][metric] for seed in ours]
    for is_best, extreme in ((False, worst), (True, best)):
        judged = if_missing(found, is_best)
        known = ttest_1samp([*seen, extreme(seen)], 0)
        interval = known.confidence_interval(0.95)
        inference = judged.inference
        assert inference.p[place, column] == pytest.approx(known.pvalue)
        ends = inference.low[place, column], inference.high[place, column]
        assert ends == pytest.approx((interval.low, interval.high))
        whole = 1 - place  # the row of which nothing is missing
        a, b = ([arms["values"][name][seed][metric] for seed in range(8)] for name in ("mine", "scvi"))
        assert inference.p[whole, column] == pytest.approx(ttest_rel(a, b).pvalue)


def test_bounds_are_of_rows_that_lack_pairs_and_have_some(arms: dict[str, Any]) -> None:
    found = differences(load(arms["root"]))
    table = bounds(found)
    names = ["config_id", "split", "metric", "missing", "n_pairs", "verdict", "worst", "best"]
    assert list(table.columns) == names
    assert set(table["config_id"]) == {arms["points"]["mine20"].id}
    told = table.set_index(["split", "metric"])[["missing", "n_pairs", "verdict", "worst", "best"]]
    assert told.T.to_dict("list") == {
        ("train", "ari"): [1, 7, "better", "better", "better"],
        ("train", "elbo"): [1, 7, "open", "open", "open"],
        ("test", "ari"): [1, 7, "better", "better", "better"],
        ("test", "elbo"): [1, 7, "worse", "worse", "worse"],
    }


def test_a_verdict_may_hang_on_what_is_missing(disk: Any, point: Make) -> None:
    names = ("scvi", "scvi_mine", "scvi_mmd", "adversarial", "scvi_hsic")
    base, ours, alone, _, two = points = [point(name) for name in names]
    disk.plan(points, range(7))
    for seed in range(7):
        disk.record(base, seed, {"ari": 0.5})
    for seed, gain in enumerate((0.2, 0.22, 0.18, -0.05)):
        disk.record(ours, seed, {"ari": 0.5 + gain})
    disk.record(alone, 0, {"ari": 0.7})
    for seed, gain in enumerate((0.3, 0.1)):
        disk.record(two, seed, {"ari": 0.5 + gain})
    found = differences(load(disk.root))
    place = found.rows["config_id"].tolist().index(two.id)
    worst = if_missing(found, False).inference.p[place]
    assert worst == pytest.approx([ttest_1samp([0.3, *[0.1] * 6], 0).pvalue] * 2)
    table = bounds(found)
    told = table[table["split"] == "test"].set_index("config_id")[["missing", "n_pairs", "worst", "best"]]
    assert told.T.to_dict("list") == {
        ours.id: [3, 4, "open", "better"],
        alone.id: [6, 1, "better", "better"],  # seven of one sign
        two.id: [5, 2, "better", "better"],
    }


@pytest.mark.parametrize("n", [1, 3])
def test_missing_ones_like_a_single_difference_that_was_seen_are_judged_by_their_signs(
    disk: Any, point: Make, n: int
) -> None:
    """Sums of equal numbers differ from them by rounding, which is no spread to test against."""
    points = base, ours = point(), point("scvi_mine")
    disk.plan(points, range(6))
    gains = {f"gain_{i}": gain for i, gain in enumerate(np.random.default_rng(0).normal(size=20))}
    for seed in range(6):
        disk.record(base, seed, dict.fromkeys(gains, 0.0))
        if seed < n:
            disk.record(ours, seed, gains)
    found = differences(load(disk.root))
    for best in (False, True):
        assert if_missing(found, best).inference.p == pytest.approx(2.0**-5)


def test_one_split_says_nothing_of_new_cells(disk: Any, point: Make) -> None:
    """However alike its seeds are: what another split would change was not seen."""
    split = {"split.train_fraction": 0.6}
    for seed in range(6):
        for gain, p in enumerate((point(other=split), point("scvi_mine", other=split))):
            path = disk.record(p, seed, {"ari": 0.5 + 0.2 * gain + (seed * gain) / 1000})
            path.write_text(path.read_text().replace(split_of(path), "one"))
    row = row_of(compare(load(disk.root)), point("scvi_mine", other=split), "ari")
    assert (row["n_pairs"], row["verdict"], row["new_cells"]) == (6, "better", "not shown")
    assert math.isnan(row["low_new"])
    assert math.isnan(row["p_new"])


def test_of_several_seeds_on_one_split_none_is_called_missing(disk: Any, point: Make) -> None:
    disk.plan([point(), point("scvi_mine")], range(4))
    for seed in range(4):
        for p in (point(), point("scvi_mine")):
            if (p.model, seed) != ("scvi_mine", 3):
                path = disk.record(p, seed, {"ari": 0.1 * seed})
                path.write_text(path.read_text().replace(split_of(path), f"split{seed // 2}"))
    found = differences(load(disk.root))
    assert found.moments.n.tolist() == [[2, 2]]
    assert found.missing.tolist() == [[0, 0]]


def test_differences_that_only_rounding_tells_apart_are_one(disk: Any, point: Make) -> None:
    for seed in range(5):
        disk.record(point(), seed, {"ari": 0.1 * seed, "nmi": 0.1 * seed})
        disk.record(
            point("scvi_mine"), seed, {"ari": 0.1 * seed + 0.3, "nmi": 0.1 * seed + 0.3 + 1e-6 * seed}
        )
    found = differences(load(disk.root))
    sd = dict(zip(found.columns.get_level_values("metric"), found.moments.sd[0], strict=True))
    assert sd["ari"] == 0
    assert sd["nmi"] == pytest.approx(1e-6 * np.arange(5).std(ddof=1), rel=1e-6)


def test_what_only_rounding_tells_from_the_baseline_is_a_tie(disk: Any, point: Make) -> None:
    for seed in range(8):
        disk.record(point(), seed, {"clisi": 0.3})
        disk.record(point("scvi_mine"), seed, {"clisi": 0.1 + 0.2})
    row = row_of(compare(load(disk.root)), point("scvi_mine"), "clisi")
    assert (row["mean"], row["win_rate"], row["p"], row["verdict"]) == (0, 0.5, 1, "open")


@pytest.mark.parametrize("source", ["pairs", "sets"])
def test_data_that_each_seed_draws_anew_are_new_data(disk: Any, point: Make, source: str) -> None:
    """No split shares a pair with another, so that there is no overlap to correct for."""
    told = {"split.train_fraction": 0.5, "dataset.source": source}
    for seed in range(5):
        for gain, p in enumerate((point(other=told), point("critic", other=told))):
            disk.record(p, seed, {"mi_error": 0.5 + 0.2 * gain + 0.05 * gain * seed})
    row = row_of(compare(load(disk.root)), point("critic", other=told), "mi_error")
    assert (row["low_new"], row["high_new"], row["p_new"]) == (row["low"], row["high"], row["p"])
    assert (row["verdict"], row["new_cells"]) == ("worse", "shown")
