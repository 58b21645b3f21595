import errno
import os
from pathlib import Path

import pytest

from bie.diagnosis.filesystem import abilities, nearest, of_abilities, of_room, room


def test_a_disk_with_room(tmp_path: Path):
    assert room(tmp_path / "not" / "yet" / "there").found.startswith(str(tmp_path))
    assert nearest(tmp_path / "not" / "yet") == tmp_path


@pytest.mark.parametrize(
    ("n_bytes", "inodes", "state"),
    [
        (1e12, 10**6, "ok"),
        (1e12, None, "ok"),
        (1e9, 10**6, "warning"),
        (1e7, 10**6, "problem"),
        (1e12, 500, "warning"),
        (1e12, 0, "problem"),
    ],
)
def test_room_for_results(n_bytes: float, inodes: int | None, state: str):
    assert of_room("out", n_bytes, inodes).state == state


def test_a_local_disk_can_do_all_and_is_left_as_it_was(tmp_path: Path):
    row = abilities(tmp_path / "outputs")
    assert row.state == "ok"
    assert "rename, hard links, mmap, locks" in row.found
    assert list(tmp_path.iterdir()) == []


def test_what_a_filesystem_cannot_do_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    row = abilities(tmp_path)
    assert row.state == "warning"
    assert "not: hard links" in row.found
    monkeypatch.setattr(os, "fsync", refused)
    assert abilities(tmp_path).state == "problem"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    row = abilities(tmp_path)
    assert (row.state, "Read-only" in row.found) == ("problem", True)


def test_a_full_disk_is_not_taken_for_one_that_cannot_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    row = abilities(tmp_path)
    assert row.state == "problem"
    assert row.found.endswith("cannot be written to: No space left on device")


def test_clocks_that_differ():
    assert of_abilities("out", [], 0.1).state == "ok"
    assert "NTP" in of_abilities("out", [], -60.0).remedy
    assert of_abilities("out", ["locks"], 0.0).remedy.endswith("HDF5_USE_FILE_LOCKING=FALSE")
