import dataclasses
import errno
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bie.data import prepared
from bie.data.cells import Cells
from bie.data.datasets import zinb
from bie.data.datasets.zinb import Zinb
from bie.data.prepared import read_prepared, write_prepared


@pytest.fixture
def cells(zinb_settings: Callable[..., Zinb]) -> Cells:
    return zinb.load(zinb_settings(size="smoke"))


def test_comes_back_as_it_went(cells: Cells, tmp_path: Path) -> None:
    place = write_prepared(cells, tmp_path / "prepared")
    assert place == tmp_path / "prepared" / cells.sha256[:12]
    back = read_prepared(place)
    assert back.sha256 == cells.sha256
    assert dataclasses.replace(back).hashes == cells.hashes  # computed anew from what was read
    assert back.library_moments()[0].tolist() == cells.library_moments()[0].tolist()


def test_both_hashes_are_read_not_computed(cells: Cells, tmp_path: Path) -> None:
    place = write_prepared(cells, tmp_path)
    meta = json.loads((place / "meta.json").read_text())
    (place / "meta.json").write_text(json.dumps(meta | {"sha256": "a", "unlabelled_sha256": "b"}))
    assert read_prepared(place).hashes == {"sha256": "a", "unlabelled_sha256": "b"}
    del meta["unlabelled_sha256"]  # as a copy of before has it
    (place / "meta.json").write_text(json.dumps(meta))
    assert read_prepared(place).hashes == cells.hashes


def test_without_labels_and_pooled(cells: Cells, tmp_path: Path) -> None:
    cells = dataclasses.replace(cells, label=None, labels=(), library_prior="pooled")
    back = read_prepared(write_prepared(cells, tmp_path))
    assert back.label is None
    assert (back.labels, back.library_prior) == ((), "pooled")


def test_counts_are_mapped_not_copied(cells: Cells, tmp_path: Path) -> None:
    place = write_prepared(cells, tmp_path)
    back = read_prepared(place)
    on_disk = np.load(place / "data.npy", mmap_mode="r+")
    before = back.counts.data[0]
    on_disk[0] = before + 1
    on_disk.flush()
    assert back.counts.data[0] == before + 1
    assert not back.counts.data.flags.writeable


def test_mapped_counts_can_be_sliced(cells: Cells, tmp_path: Path) -> None:
    rows = np.array([5, 3, 5])
    back = read_prepared(write_prepared(cells, tmp_path))
    assert (back.counts[rows].toarray() == cells.counts[rows].toarray()).all()


def test_a_second_time_writes_nothing(cells: Cells, tmp_path: Path) -> None:
    place = write_prepared(cells, tmp_path)
    stamp = (place / "data.npy").stat().st_mtime_ns
    assert write_prepared(cells, tmp_path) == place
    assert (place / "data.npy").stat().st_mtime_ns == stamp


def test_a_full_disk_is_said_and_nothing_left_behind(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: object) -> None:
        raise OSError("30116 requested and 24544 written")  # numpy's words

    monkeypatch.setattr("numpy.save", save)
    with pytest.raises(OSError, match="requested") as error:
        write_prepared(cells, tmp_path)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_many_at_once_leave_one_whole_copy(cells: Cells, tmp_path: Path) -> None:
    cells.sha256  # noqa: B018 - computed before the race
    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(lambda _: write_prepared(cells, tmp_path), range(16)))
    assert [path.name for path in tmp_path.iterdir()] == [cells.sha256[:12]]
    assert read_prepared(places.pop()).n_cells == cells.n_cells


def test_nothing_appears_before_it_is_whole(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        write_prepared(cells, tmp_path)
    assert not (tmp_path / cells.sha256[:12]).exists()
    monkeypatch.undo()
    assert json.loads((write_prepared(cells, tmp_path) / "meta.json").read_text())["sha256"] == cells.sha256
