"""A launch that ends in table and page: Hydra's callback of bie."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from bie.run import main
from hydra_plugins.bie import Report
from tests.analysis.conftest import disk, point

__all__ = ["disk", "point"]

TREE = Path("outputs/v1/adhoc")
CONFIG = OmegaConf.create({"hydra": {"sweep": {"dir": str(TREE)}}})
REPORT = "hydra/callbacks=report"


@pytest.fixture
def launched(in_tmp: Path, disk: Any, point: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launch has left one finished and one failed run; any further one does nothing, and says 1."""
    disk.plan([point()], range(2))
    disk.record(point(), 0, {"ari": 0.5})
    disk.failure(point(), 1, "nan")
    monkeypatch.setattr("bie.launching.launch.launch", lambda *of: 1)
    return TREE / "report"


def test_a_launch_with_failed_runs_ends_in_table_and_page_with_its_own_exit_code(
    launched: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert main(["-m", *tiny, "seed=0..1", "hydra.launcher.workers=0", REPORT]) == 1
    assert ".500†" in capsys.readouterr().out
    assert (launched / "summary.csv").is_file()
    assert (launched / "index.html").is_file()


def test_without_it_a_launch_leaves_no_report(launched: Path, tiny: tuple[str, ...]):
    assert main([*tiny, "hydra.launcher.workers=0"]) == 1
    assert not launched.exists()


def test_of_a_launch_that_goes_on_it_says_what_to_type_later(
    launched: Path, disk: Any, point: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    (launch,) = (TREE / "launches").iterdir()
    job = {"kind": "runs", "pid": 1, "host": "elsewhere", "first_task": 0, "n_tasks": 1}
    (launch / "jobs.json").write_text(json.dumps([job]))
    (disk.folder(point(), 1) / "claim.json").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    Report().on_multirun_end(CONFIG)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"bie aggregate {TREE} && bie report {TREE}")
    assert not launched.exists()


def test_after_an_error_there_is_no_table(launched: Path):
    try:
        raise ValueError
    except ValueError:
        Report().on_multirun_end(CONFIG)
    assert not launched.exists()


def test_it_is_one_for_the_whole_launch(
    in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert main(["-m", *tiny, f"{REPORT},report"]) == 2
    assert "hydra/callbacks cannot be swept" in capsys.readouterr().err


def test_a_callback_that_is_not_there_is_bad_input(
    in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    folder = Path("own/hydra/callbacks")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine: {_target_: nowhere.There}\n")
    assert main([*tiny, "--config-dir", "own", "hydra/callbacks=mine"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hydra/callbacks: ")
    assert "nowhere.There" in line
    assert not Path("outputs").exists()
