"""A rehearsal: tasks of a launch through submitit's local executor, to their end."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bie.run import main as run
from bie.status import main as status
from bie.store.launches import jobs, noted_end

LOCAL = ("-m", "hydra/launcher=submitit_local")


@pytest.fixture
def launch(in_tmp: Path, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("TMPDIR", str(in_tmp))

    def start(*typed: str) -> Path:
        assert run([*LOCAL, *tiny, *typed]) == 0
        (folder,) = (in_tmp / "outputs/v1/adhoc/launches").iterdir()
        return folder

    return start


def wait_for(reached: Callable[[], bool], timeout_s: float = 600.0) -> None:
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < timeout_s
        time.sleep(0.1)


def pid_of(folder: Path) -> int:
    return int(jobs(folder)[0]["pid"])


def over(folder: Path) -> bool:
    try:
        return os.waitpid(pid_of(folder), os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


def test_a_canary_that_is_a_control_and_then_all_runs(
    launch: Callable[..., Path], in_tmp: Path, capsys: pytest.CaptureFixture[str]
):
    folder = launch("model=pca", "seed=0,1", "hydra.launcher.canary=true", "hydra.launcher.runs_per_job=2")
    wait_for(lambda: over(folder))
    assert [noted_end(folder, name) for name in ("canary-0", "0")] == [0, 0]
    assert len(list(in_tmp.glob("outputs/v1/adhoc/runs/*/*/*/*/record.json"))) == 2
    log = (folder / "logs" / "local_0.log").read_text()
    assert "submitit INFO" in log
    assert "Starting with JobEnvironment(job_id=" in log
    assert not list(in_tmp.glob("bie-*")), "the unpacked source was left behind"
    capsys.readouterr()
    assert status([]) == 0


def test_a_cancelled_rehearsal_leaves_a_checkpoint(launch: Callable[..., Path], in_tmp: Path):
    one_by_one = ("hydra.launcher.runs_per_job=1", "hydra.launcher.array_parallelism=1")
    folder = launch("seed=0,1", "train.epochs=100000", *one_by_one)
    history = "outputs/v1/adhoc/runs/*/*/*/seed=0000/claim.json"
    wait_for(lambda: bool(list(in_tmp.glob(history))))
    time.sleep(3.0)  # while it reads its cells it has nothing to keep
    os.kill(pid_of(folder), signal.SIGTERM)
    wait_for(lambda: over(folder))
    assert noted_end(folder, "0") == 143
    assert noted_end(folder, "1") is None, "it was not started any more"
    assert list(in_tmp.glob("outputs/v1/adhoc/runs/*/*/*/seed=0000/checkpoint.pt"))


def test_a_killed_task_is_noted(launch: Callable[..., Path], in_tmp: Path):
    folder = launch("seed=0", "train.epochs=100000", "hydra.launcher.runs_per_job=1")
    claim = "outputs/v1/adhoc/runs/*/*/*/seed=0000/claim.json"
    wait_for(lambda: bool(list(in_tmp.glob(claim))))
    (path,) = in_tmp.glob(claim)
    worker = json.loads(path.read_text())["pid"]
    os.kill(parent_of(parent_of(worker)), signal.SIGKILL)
    wait_for(lambda: over(folder))
    assert noted_end(folder, "0") == 137


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
