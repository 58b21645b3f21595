import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bie import devices
from bie.analysis import files, index, parse
from bie.analysis.files import look
from bie.analysis.index import INDEX, LATER, read_index
from bie.analysis.study import read_study
from bie.store.paths import Tree

Make = Callable[..., Any]


def settle(root: Path) -> None:
    """Let what is there be an hour old."""
    then = time.time() - 3600
    for path in root.rglob("*.json"):
        os.utime(path, (then, then))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the records and failures whose contents are read."""
    paths: list[str] = []
    content = parse._content
    monkeypatch.setattr(parse, "_content", lambda path: paths.append(path) or content(path))  # type: ignore[func-returns-value]
    return paths


@pytest.fixture
def study(disk: Any, point: Make) -> Any:
    """Two grid points of three seeds each, one number missing; indexed."""
    for p in (point(), point("scvi_mine", mine__scale=2.0)):
        for seed in range(3):
            disk.record(p, seed, {"ari": seed / 10, "nmi": None}, missing={"nmi": "one label"})
    settle(disk.root)
    read_study(Tree(disk.root))
    return disk


def frames(root: Path) -> list[Any]:
    found = read_study(Tree(root))
    return [found.grid_points, found.runs, found.values, found.reasons, found.timing, found.by_type]


def test_a_study_from_the_index_is_that_from_the_records(study: Any, read: list[str]) -> None:
    indexed = frames(study.root)
    assert read == []
    (study.root / "report" / INDEX).unlink()
    anew = frames(study.root)
    assert len(read) == 6
    for one, other in zip(indexed, anew, strict=True):
        assert one.equals(other)


def test_only_what_is_new_or_changed_is_read(study: Any, point: Make, read: list[str]) -> None:
    new = study.record(point(), 7, {"ari": 0.7, "be": 0.5})
    path = study.folder(point(), 1) / "record.json"
    before = path.stat()
    path.write_text(path.read_text().replace('"ari": 0.1', '"ari": 0.9'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # in place, of the same size and time
    (study.folder(point(), 2) / "record.json").unlink()
    found = read_study(Tree(study.root))
    assert sorted(read) == sorted(map(str, (new, path)))
    assert found.runs["seed"].tolist() == [0, 1, 7, 0, 1, 2]
    assert found.values["test", "ari"].tolist() == [0.0, 0.9, 0.7, 0.0, 0.1, 0.2]
    assert found.reasons["test", "be"].notna().tolist() == [True, True, False, True, True, True]
    assert set(found.reasons["test", "nmi"]) == {"one label", "not in the record"}


def test_a_file_of_this_moment_or_one_that_is_no_record_is_read_again(
    study: Any, point: Make, read: list[str]
) -> None:
    new = study.record(point(), 7, {"ari": 0.7})
    spoiled = study.folder(point(), 1) / "record.json"
    spoiled.write_text("{")
    os.utime(spoiled, (1, 1))
    for _ in range(2):
        read.clear()
        read_study(Tree(study.root))
        assert sorted(read) == sorted(map(str, (new, spoiled)))


def test_a_few_that_came_since_leave_the_index_as_it_is(
    study: Any, point: Make, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "FEW", 0.5)
    report, before = study.root / "report", (study.root / "report" / INDEX).read_bytes()
    study.record(point(), 7, {"ari": 0.7, "be": 0.5})
    for seed, text in ((1, '"ari": 0.9'), (7, '"ari": 0.8')):  # of the index, of what came since
        path = study.folder(point(), seed) / "record.json"
        path.write_text(path.read_text().replace(f'"ari": 0.{seed}', text))
        os.utime(path, (1, 1))
        found = frames(study.root)
    assert (report / INDEX).read_bytes() == before
    assert pq.read_table(report / LATER).num_rows == 2
    read.clear()
    assert [one.equals(other) for one, other in zip(found, frames(study.root), strict=True)] == [True] * 6
    assert read == []
    assert found[2]["test", "ari"].tolist() == [0.0, 0.9, 0.2, 0.8, 0.0, 0.1, 0.2]
    (report / INDEX).unlink()
    assert frames(study.root)[2].equals(found[2])
    assert not (report / LATER).exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_a_spoiled_index_is_made_anew(content: bytes, study: Any, read: list[str]) -> None:
    (study.root / "report" / INDEX).write_bytes(content)
    assert read_study(Tree(study.root)).values["test", "ari"].notna().all()
    assert len(read) == 6
    assert pq.read_table(study.root / "report" / INDEX).num_rows == 6


def test_the_index_of_other_code_is_not_used(
    study: Any, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "makers", lambda: "others")
    read_study(Tree(study.root))
    assert len(read) == 6


def test_an_index_without_a_column_that_there_is_now_is_not_used(study: Any, read: list[str]) -> None:
    path = study.root / "report" / INDEX
    pq.write_table(pq.read_table(path).drop_columns(["types", "config"]), path)
    assert read_study(Tree(study.root)).values["test", "ari"].notna().all()
    assert len(read) == 6


def test_a_tree_that_cannot_be_written_to_is_read_all_the_same(
    study: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    study.record(point(), 7, {"ari": 0.7})
    monkeypatch.setattr(index, "write_file", refused)
    assert len(read_study(Tree(study.root)).runs) == 7


def test_a_tree_that_moved_keeps_its_index(study: Any, read: list[str]) -> None:
    moved = study.root.with_name("moved")
    study.root.rename(moved)
    assert len(read_study(Tree(moved)).runs) == 6
    assert read == []


def test_without_a_finished_run_there_is_none(disk: Any, point: Make) -> None:
    disk.failure(point(), 0, "nan")
    assert len(read_index(look(Tree(disk.root)))) == 1
    assert not (disk.root / "report").exists()


def test_metrics_that_only_some_batches_of_records_have(
    disk: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "AT_ONCE", 2)
    for seed in range(5):
        disk.record(point(), seed, {"ari": 0.1} if seed < 4 else {"ari": 0.2, "be": None})
    found = read_study(Tree(disk.root))
    assert found.reasons["test", "be"].tolist() == ["not in the record"] * 4 + ["no reason given"]


def test_a_record_of_another_schema_is_named(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    path = disk.record(point(), 1, {"ari": 0.5})
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    runs = read_study(Tree(disk.root)).runs
    assert runs[["state", "cause"]].to_numpy().tolist() == [["done", ""], ["unreadable", "schema 2, not 1"]]


def test_some_new_ones_among_many_stand_where_they_belong(
    disk: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "AT_ONCE", 7)
    points = [point(), *(point("scvi_mine", mine__scale=float(scale)) for scale in range(4))]
    for p in points:
        for seed in range(0, 24, 2):
            missing = {"test.nmi": f"reason {seed}"} if seed % 4 else {}
            disk.record(p, seed, {"ari": seed / 30, "nmi": None if seed % 4 else 0.5}, missing=missing)
    settle(disk.root)
    read_study(Tree(disk.root))
    for p in points:
        ratios = {"train": {"T": 1.5}, "test": {"B": 1.25, "T": 2.0}}
        disk.record(p, 5, {"ari": 0.5, "be": 0.1}, notes={"cells": "new"}, by_type=ratios)
    disk.failure(points[2], 7, "nan")
    disk.record(point("pca"), 5, {"ari": 0.1})
    found = frames(disk.root)
    (disk.root / "report" / INDEX).unlink()
    for one, other in zip(found, frames(disk.root), strict=True):
        assert one.equals(other)
    assert found[5][["split", "type", "ratio"]].to_numpy().tolist()[:3] == [
        ["train", "T", 1.5],
        ["test", "B", 1.25],
        ["test", "T", 2.0],
    ]
    assert found[1].loc[found[5]["row"], "seed"].eq(5).all()


def test_several_processes_read_what_one_reads(
    disk: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "AT_ONCE", 2)
    monkeypatch.setattr(files, "AT_ONCE", 1)
    for seed in range(5):
        disk.record(point(), seed, {"ari": seed / 7, "nmi": None}, missing={"nmi": f"reason {seed % 2}"})
    disk.failure(point("scvi_mine"), 0, "nan")
    settle(disk.root)
    path, found = disk.root / "report" / INDEX, []
    for n in (1, 2):
        monkeypatch.setattr(devices, "cores", lambda n=n: n)
        read_index(look(Tree(disk.root)))
        found.append(path.read_bytes())
        path.unlink()
    assert found[0] == found[1]
