from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bie.analysis.parse import code_version
from bie.analysis.study import Study, read_study
from bie.store.paths import Tree

Make = Callable[..., Any]


def states(study: Study) -> list[tuple[int, str, str]]:
    return list(study.runs[["seed", "state", "cause"]].itertuples(index=False, name=None))


def test_every_run_asked_for_or_found_has_one_row_and_a_state(disk: Any, point: Make) -> None:
    scvi = point()
    disk.plan([scvi], range(5))
    disk.record(scvi, 0, {"ari": 0.5})
    disk.failure(scvi, 0, "nan")  # an earlier attempt: the record counts
    disk.failure(scvi, 1, "nan")
    disk.record(scvi, 2, {"ari": 0.5}).write_text('{"schema": 1, "seed"')
    disk.record(scvi, 9, {"ari": 0.7})  # of a launch whose plan is gone
    study = read_study(Tree(disk.root))
    assert states(study) == [
        (0, "done", ""), (1, "failed", "nan"), (2, "unreadable", ""),
        (3, "missing", ""), (4, "missing", ""), (9, "done", ""),
    ]  # fmt: skip
    assert study.values["test", "ari"].dropna().tolist() == [0.5, 0.7]
    where = study.runs["where"].tolist()
    assert where[1].endswith("seed=0001/failed.json")
    assert where[2].endswith("seed=0002/record.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"config": 1, "provenance": null}',
        b'{"metrics": {"train": {"ari": "x"}}}',
    ],
)
def test_a_record_that_is_none_is_named_not_fatal(disk: Any, point: Make, content: bytes) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    disk.record(point(), 1, {"ari": 0.5}).write_bytes(content)
    study = read_study(Tree(disk.root))
    assert states(study) == [(0, "done", ""), (1, "unreadable", "")]


def test_an_unreadable_failure_is_a_failure(disk: Any, point: Make) -> None:
    disk.failure(point(), 0, "nan").write_text("{")
    assert states(read_study(Tree(disk.root))) == [(0, "failed", "unknown")]


def test_expected_runs_are_the_union_of_all_launches(disk: Any, point: Make) -> None:
    a, b = (point("scvi_mine", mine__scale=s) for s in (1.0, 2.0))
    disk.plan([a, b], [0, 1], "20250101-000000-aaaa")
    disk.plan([a], [1, 2], "20250102-000000-bbbb")
    study = read_study(Tree(disk.root))
    assert study.runs.groupby("config_id").size().to_dict() == {a.id: 3, b.id: 2}
    assert study.grid == ("mine.scale",)


def test_runs_follow_the_cells_and_within_them_the_seeds(disk: Any, point: Make) -> None:
    points = [point("scvi_mine", mine__scale=s) for s in (10.0, 9.0)] + [point()]
    for seed in (11, 2):
        for p in points:
            disk.record(p, seed, {"ari": int(p.id[:8], 16) + seed})
    study = read_study(Tree(disk.root))
    expected = [(p.id, seed) for p in reversed(points) for seed in (2, 11)]
    assert list(study.runs[["config_id", "seed"]].itertuples(index=False, name=None)) == expected
    assert study.values["test", "ari"].tolist() == [int(c[:8], 16) + seed for c, seed in expected]


def test_metrics_come_in_the_order_of_their_cards_unknown_ones_last(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"elbo": 1.0, "zeta": 1.0, "ari": 1.0, "alpha": 1.0, "nmi": 1.0})
    study = read_study(Tree(disk.root))
    names = ["nmi", "ari", "elbo", "alpha", "zeta"]
    assert [tuple(key) for key in study.values.columns] == [
        (split, name) for split in ("train", "test") for name in names
    ]


def test_a_missing_number_has_its_reason(disk: Any, point: Make) -> None:
    why = {"test.ari": "no labels", "ari": "not this one", "uca": "both splits"}
    disk.record(point(), 0, {"ari": None, "nmi": None, "uca": None, "be": 0.0}, missing=why)
    disk.record(point(), 1, {"ari": 0.1, "nmi": 0.1})
    reasons = read_study(Tree(disk.root)).reasons["test"]
    assert reasons["ari"].tolist()[0] == "no labels"
    assert reasons["nmi"].tolist()[0] == "no reason given"
    assert reasons["uca"].tolist() == ["both splits", "not in the record"]
    assert reasons["be"].isna().tolist() == [True, False]
    assert reasons["be"].tolist()[1] == "not in the record"


def test_an_empty_study_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    study = read_study(Tree(tmp_path))
    assert study.runs.empty
    assert study.values.empty


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ({"git_commit": "0123456789", "source_sha256": "abcdefghijklmnop"}, "abcdefghijkl"),
        ({"git_commit": "9876543210", "source_sha256": "abcdefghijklmnop"}, "abcdefghijkl"),
        ({"git_commit": "0123456789abcd"}, "0123456789ab"),
        ({}, "unknown"),
    ],
)
def test_code_version(origin: dict[str, Any], name: str) -> None:
    assert code_version(origin) == name
