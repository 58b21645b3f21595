"""A process killed at any step of a write loses nothing that was finished, and the next one goes on."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bie.store import launches
from bie.store.claims import take
from bie.store.launches import open_launch, planned
from bie.store.owner import Owner
from bie.store.paths import Tree
from bie.store.record import FAILED, HISTORY, RECORD, done_seeds, set_aside, write_failure, write_record

STEPS = ("mkdir", "open", "replace", "rename", "hardlink_to", "unlink")
"""Methods of paths by which the store changes anything; beside `os.fsync`."""
WHY = {"cause": "nan", "message": "", "traceback": ""}
NEW, OLD = {"value": 1, "much": "x" * 10_000}, {"value": 0}


def _dying_at(step: int, before: bool) -> None:
    """Have SIGKILL end this process at the n-th step, before or after it is done."""
    count = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def method(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            mine, count = count, count + 1
            if mine == step and before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **options)
            if mine == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return method

    for name in STEPS:
        setattr(Path, name, dying(getattr(Path, name)))
    os.fsync = dying(os.fsync)


def _kills(work: Callable[[Path], Any], prepare: Callable[[Path], Any], place: Path) -> Iterator[Path]:
    """Folders in which the work was killed at its first step, its second, ... and at last not at all."""
    prepared = place / "prepared"
    prepared.mkdir()
    prepare(prepared)
    for before in (True, False):
        for step in range(200):
            folder = shutil.copytree(prepared, place / f"{before}-{step}")
            child = os.fork()
            if child == 0:
                _dying_at(step, before)
                work(folder)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            yield folder
            if os.waitstatus_to_exitcode(status) == 0:
                break
        else:
            pytest.fail("the work never ends")


def _record(folder: Path) -> Any:
    """The record, whole; None where there is none."""
    path = folder / RECORD
    return json.loads(path.read_bytes()) if path.exists() else None


def _write(folder: Path) -> None:
    write_record(folder, NEW, {HISTORY: b"epoch\n1\n"})


def test_a_record_is_there_whole_or_not_at_all(tmp_path: Path):
    found = []
    for folder in _kills(_write, lambda folder: write_failure(folder, WHY), tmp_path):
        found.append(_record(folder))
        assert found[-1] in (None, NEW)
        _write(folder)
        assert _record(folder) == NEW
        assert (folder / HISTORY).read_bytes() == b"epoch\n1\n"
    assert None in found
    assert NEW in found


def test_a_finished_run_outlives_whatever_is_written_beside_it(tmp_path: Path):
    def all_of_it(folder: Path) -> None:
        _write(folder)
        write_failure(folder, WHY)

    for folder in _kills(all_of_it, lambda folder: write_record(folder, OLD, {}), tmp_path):
        assert _record(folder) == OLD
        assert not (folder / FAILED).exists()


def test_a_failure_is_whole_and_counted(tmp_path: Path):
    for folder in _kills(
        lambda folder: write_failure(folder, WHY), lambda f: write_failure(f, WHY), tmp_path
    ):
        assert json.loads((folder / FAILED).read_bytes())["attempt"] in (1, 2)


def test_what_is_set_aside_is_never_lost(tmp_path: Path):
    for folder in _kills(set_aside, _write, tmp_path):
        everywhere = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        assert sum(b'"value": 1' in content for content in everywhere) == 1
        assert everywhere.count(b"epoch\n1\n") == 1
        set_aside(folder)
        assert _record(folder) is None


def test_a_run_whose_holder_is_killed_can_be_taken(tmp_path: Path):
    for folder in _kills(lambda f: take(f, Owner.here()), lambda f: None, tmp_path):
        claim = take(folder, Owner.here())
        assert claim is not None
        claim.release()


def test_half_a_launch_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, made in (("_snapshot", b""), ("installed_packages", ()), ("uncommitted", "a patch")):
        monkeypatch.setattr(launches, name, lambda made=made: made)
    columns = {name: ["x"] for name in ("dataset", "model", "config_id", "run_id", "grid", "config")}
    plan: dict[str, list[Any]] = {**columns, "seed": [0], "task": [0]}
    settings = {"hydra": {"launcher": {"kind": "local"}}}

    def launch(folder: Path) -> None:
        open_launch(Tree(folder), [], plan, {}, settings)

    def before(folder: Path) -> None:
        launch(folder)
        write_record(Tree(folder).run_dir("d", "m", "c" * 64, 3), OLD, {})

    for folder in _kills(launch, before, tmp_path):
        tree = Tree(folder)
        assert len(planned(tree)) == 1
        assert done_seeds(tree.config_dir("d", "m", "c" * 64)) == {3}
