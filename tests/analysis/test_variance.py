"""Components of variance of studies on disk, and the study that tells all of them apart."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bie.analysis.random_effects import REST, restricted_ml
from bie.analysis.study import Study, read_study
from bie.analysis.variance import components, variance_texts
from bie.planning.grammar import read_axes
from bie.seeds import SEEDS
from bie.store.paths import Tree
from bie.store.provenance import configuration_folder
from tests.analysis.crossed import COLUMN, ROW, drawn


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
