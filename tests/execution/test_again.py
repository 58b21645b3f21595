"""What `bie reproduce` starts; that it does a run again is tested there, in a process of its own."""

from pathlib import Path

import pytest

from bie.execution.again import main
from bie.store.launches import POINTS
from bie.store.record import as_json


def test_a_run_that_the_launch_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    launch = tmp_path / "study" / "launches" / "one"
    launch.mkdir(parents=True)
    (launch / POINTS).write_bytes(as_json({}))
    assert main([str(launch), "abc", "0", str(tmp_path / "run"), "cpu", "float32"]) == 2
    assert "has no grid point abc" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
