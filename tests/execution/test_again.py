"""What `bie reproduce` starts; that it does a run on cells again is tested there, in a process of its own."""

from pathlib import Path

import pytest

from bie.execution.again import main
from bie.run import main as run
from bie.store.launches import POINTS
from bie.store.record import RECORD, as_json, read


def test_a_run_that_the_launch_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    launch = tmp_path / "study" / "launches" / "one"
    launch.mkdir(parents=True)
    (launch / POINTS).write_bytes(as_json({}))
    assert main([str(launch), "abc", "0", str(tmp_path / "run"), "cpu", "float32"]) == 2
    assert "has no grid point abc" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_not_about_cells_has_none_to_prepare(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    wanted = ["dataset=pairs", "dataset.n_pairs=60", "model=neighbours", "hydra.launcher.workers=0"]
    assert run([*wanted, "split.train_fraction=0.5"]) == 0, capsys.readouterr()
    (path,), (launch,) = in_tmp.rglob(RECORD), in_tmp.rglob("launches/*")
    before = read(path) or {}
    again = in_tmp / "again" / "run"
    assert main([str(launch), before["config_id"], "0", str(again), "cpu", "float32"]) == 0
    assert (read(again / RECORD) or {})["metrics"] == before["metrics"]
    assert not (again.parent / "cells").exists()
