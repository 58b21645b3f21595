import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bie.aggregate import main
from bie.analysis import files, parse, recall, report
from bie.analysis.tidy import long_columns
from bie.store import record

Make = Callable[..., Any]


def settle(root: Path) -> None:
    """Let what is there be an hour old."""
    then = time.time() - 3600
    for path in root.rglob("*.*"):
        if path.name in ("record.json", "failed.json", "plan.parquet"):
            os.utime(path, (then, then))


@pytest.fixture
def study(disk: Any, point: Make) -> Any:
    """Two of three runs done, aggregated long after."""
    disk.plan([point()], range(3))
    for seed in range(2):
        disk.record(point(), seed, {"ari": 0.5 + seed / 10})
    settle(disk.root)
    assert main([str(disk.root)]) == 1
    return disk


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the records, failures and plans that are read, and of report files that are written."""
    names: list[str] = []
    read, replace, content = Path.read_bytes, Path.replace, parse._content

    def noted(path: Path) -> bytes:
        names.append(path.name)
        return read(path)

    def noted_content(path: str) -> bytes:
        names.append(Path(path).name)
        return content(path)

    def written(path: Path, target: Path) -> Path:
        names.append(Path(target).name)
        return replace(path, target)

    monkeypatch.setattr(Path, "read_bytes", noted)
    monkeypatch.setattr(Path, "replace", written)
    monkeypatch.setattr(parse, "_content", noted_content)
    return names


def made_anew(opened: list[str]) -> bool:
    return set(report.FILES) <= set(opened)


def test_an_unchanged_study_says_the_same_and_reads_no_record(
    study: Any,
    point: Make,
    opened: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil_note(study, point())
    assert main([str(study.root)]) == 1
    first = capsys.readouterr().out
    assert made_anew(opened)
    files = {name: (study.root / "report" / name).read_bytes() for name in report.FILES}
    monkeypatch.setattr("bie.analysis.study.read_study", lambda tree: pytest.fail("read again"))
    opened.clear()
    assert main([str(study.root)]) == 1
    assert capsys.readouterr().out == first
    assert not {"record.json", "failed.json", "plan.parquet", *files} & set(opened)
    assert {name: (study.root / "report" / name).read_bytes() for name in report.FILES} == files


def add_record(disk: Any, point: Any) -> None:
    disk.record(point, 2, {"ari": 0.9})


def replace_record(disk: Any, point: Any) -> None:
    """By one of the same size and time, as a copying tool would."""
    path = disk.folder(point, 1) / "record.json"
    changed = path.read_text().replace('"ari": 0.6', '"ari": 0.9')
    before = path.stat()
    other = path.with_name("other")
    other.write_text(changed)
    other.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def edit_record_in_place(disk: Any, point: Any) -> None:
    path = disk.folder(point, 1) / "record.json"
    before = path.stat()
    path.write_text(path.read_text().replace('"ari": 0.6', '"ari": 0.9'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_record(disk: Any, point: Any) -> None:
    (disk.folder(point, 1) / "record.json").unlink()


def add_failure(disk: Any, point: Any) -> None:
    disk.failure(point, 2, "nan")


def add_plan(disk: Any, point: Any) -> None:
    disk.plan([point], range(9), launch="20250102-000000-0000")


def delete_report_file(disk: Any, point: Any) -> None:
    (disk.root / "report" / "summary.tex").unlink()


def edit_report_file(disk: Any, point: Any) -> None:
    path = disk.root / "report" / "runs.csv"
    path.write_text(path.read_text().replace("0.6", "0.7"))


def replace_report_file(disk: Any, point: Any) -> None:
    """By one of the same size and time: that of another writer."""
    path = disk.root / "report" / "summary.csv"
    before = path.stat()
    (disk.root / "other").write_bytes(path.read_bytes())
    (disk.root / "other").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def spoil_note(disk: Any, point: Any) -> None:
    (disk.root / "report" / recall.NOTE).write_text("{")


CHANGES = (
    *(add_record, replace_record, edit_record_in_place, remove_record, add_failure, add_plan),
    *(delete_report_file, edit_report_file, replace_report_file, spoil_note),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_a_change_makes_the_report_anew(
    change: Callable[[Any, Any], None], old: bool, study: Any, point: Make, opened: list[str]
) -> None:
    change(study, point())
    if old:
        settle(study.root)
    opened.clear()
    main([str(study.root)])
    assert made_anew(opened)
    main([str(study.root)])  # the new one is right, whether it is made once more or recalled
    table = (study.root / "report" / "runs.csv").read_text()
    records = [record.read(path) for path in study.root.rglob("record.json")]
    assert all(f",ari,{found['metrics']['test']['ari']}," in table for found in records if found)
    assert table.count(",ari,") == 2 * len(records)


def damage_record(disk: Any, point: Any) -> None:
    (disk.folder(point, 0) / "record.json").write_text("{")


def test_tables_from_what_was_read_before_are_those_from_nothing(study: Any, point: Make) -> None:
    """Records added, replaced, removed, damaged, other options: the same bytes as without index and note."""

    def made(*options: str) -> dict[str, bytes]:
        main([str(study.root), *options])
        paths = sorted((study.root / "report").glob("[!.]*"))
        return {path.name: path.read_bytes() for path in paths}

    arm = point("scvi_mine", mine__scale=2.0)
    for seed in range(3):
        study.record(arm, seed, {"ari": 0.7 + seed / 10}, notes={"test.ari": f"of {seed} cells"})
    changes = (add_record, edit_record_in_place, remove_record, add_failure, damage_record)
    for change in changes:
        change(study, point())
        settle(study.root)
        options = ["study.baseline=scvi_mine"] if change is remove_record else []
        kept = made(*options)
        shutil.rmtree(study.root / "report")
        assert made(*options) == kept


def test_other_code_and_other_packages_make_it_anew(
    study: Any, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("source_sha256", lambda: "0" * 64), ("version", lambda package: "9")):
        monkeypatch.setattr(files, name, value)
        opened.clear()
        main([str(study.root)])
        assert made_anew(opened)
        assert opened.count(record.RECORD) == 2


def test_another_name_of_the_tree_is_told(
    study: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.root.parent)
    capsys.readouterr()
    main([study.root.name])
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"Written: {study.root.name}/report")


def test_files_of_this_moment_are_not_trusted(disk: Any, point: Make, opened: list[str]) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    for _ in range(2):
        opened.clear()
        main([str(disk.root)])
        assert made_anew(opened)


def test_what_changes_while_the_records_are_read_belongs_to_the_next_report(
    study: Any, point: Make, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_report_file(study, point())
    calls = []

    def meanwhile(found: Any, runs: slice) -> Any:
        add_record(study, point())
        calls.append(found)
        settle(study.root)
        return long_columns(found, runs)

    monkeypatch.setattr("bie.analysis.report.long_columns", meanwhile)
    assert main([str(study.root)]) == 1
    monkeypatch.setattr("bie.analysis.report.long_columns", long_columns)
    assert main([str(study.root)]) == 0
    assert len(calls) == 1  # for runs.parquet


@pytest.mark.parametrize("name", ["record.json", "failed.json"])
def test_what_could_not_be_read_is_tried_again(name: str, study: Any, point: Make, opened: list[str]) -> None:
    (study.folder(point(), 2) / name).write_text("{")
    settle(study.root)
    for _ in range(2):
        opened.clear()
        main([str(study.root)])
        assert made_anew(opened)


def test_a_folder_that_cannot_be_looked_into_is_in_doubt(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from bie.store.paths import Tree

    def refused(folder: str) -> None:
        raise PermissionError(folder)

    assert files.look(Tree(study.root)).digest() is not None
    monkeypatch.setattr(os, "scandir", refused)
    assert files.look(Tree(study.root)).digest() is None
