import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bie.store.paths import Tree
from bie.store.record import FAILED, RECORD, done_seeds, read_all, write_failure, write_file, write_record

WHY = {"cause": "nan", "message": "loss is nan", "traceback": "..."}


def test_record_is_written_with_its_files_and_replaces_a_failure(tmp_path: Path):
    write_failure(tmp_path / "r", WHY)
    assert write_record(tmp_path / "r", {"value": 1.5}, {"history.csv": b"epoch\n1\n"})
    assert json.loads((tmp_path / "r" / RECORD).read_text()) == {"value": 1.5}
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["history.csv", RECORD]


def test_a_finished_run_is_never_overwritten(tmp_path: Path):
    write_record(tmp_path, {"value": 1}, {})
    assert not write_record(tmp_path, {"value": 2}, {"history.csv": b"other"})
    write_failure(tmp_path, WHY)
    assert json.loads((tmp_path / RECORD).read_text()) == {"value": 1}
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_failures_count_their_attempts(tmp_path: Path):
    write_failure(tmp_path, WHY)
    write_failure(tmp_path, {**WHY, "cause": "oom"})
    failure = json.loads((tmp_path / FAILED).read_text())
    assert (failure["attempt"], failure["cause"]) == (2, "oom")


def test_nan_never_reaches_a_record(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path, {"value": float("nan")}, {})
    assert not (tmp_path / RECORD).exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "x", b"content")
    assert list(tmp_path.iterdir()) == []


RACER = """
import sys, pathlib
from bie.store.record import write_record
folder, value, gun = sys.argv[1:]
print("ready", flush=True)
while not pathlib.Path(gun).exists(): pass
print(write_record(pathlib.Path(folder), {"value": int(value)}, {}))
"""


def test_of_those_that_finish_the_same_run_one_wins_whole(tmp_path: Path):
    gun, folder = tmp_path / "gun", tmp_path / "run"
    commands = [[sys.executable, "-c", RACER, str(folder), str(value), str(gun)] for value in range(3)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    gun.touch()
    wrote = [racer.communicate(timeout=60)[0].strip() == "True" for racer in racers]
    assert wrote.count(True) == 1
    assert json.loads((folder / RECORD).read_text()) == {"value": wrote.index(True)}
    assert [path.name for path in folder.iterdir()] == [RECORD]


def test_reading_names_what_cannot_be_read(tmp_path: Path):
    tree = Tree(tmp_path)
    write_record(tree.run_dir("zinb", "scvi", "a" * 64, 12), {"value": 1}, {})
    broken = tree.run_dir("zinb", "scvi", "a" * 64, 3)
    broken.mkdir(parents=True)
    (broken / RECORD).write_text('{"value": ')
    found = {path.parent.name: content for path, content in read_all(tree, RECORD)}
    assert found == {"seed=0003": None, "seed=0012": {"value": 1}}


def test_done_seeds_are_those_with_a_record(tmp_path: Path):
    tree = Tree(tmp_path)
    write_record(tree.run_dir("d", "m", "c" * 64, 12345), {}, {})
    write_failure(tree.run_dir("d", "m", "c" * 64, 1), WHY)
    assert done_seeds(tree.config_dir("d", "m", "c" * 64)) == {12345}
    assert done_seeds(tree.config_dir("d", "m", "e" * 64)) == set()
