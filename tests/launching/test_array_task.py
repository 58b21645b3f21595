"""A task as submitit runs, warns and requeues it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, JobPaths

from bie.execution.run_spec import Outcome
from bie.launching import array_task
from bie.launching.array_task import ArrayTask
from bie.store.launches import Exit, noted_end

from .conftest import Launch, Script

INTERRUPTED = Outcome("interrupted")


@pytest.fixture
def called(launch: Launch, pool: Script, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[str]]:
    """Runs a task as submitit does, signals and all; what was requeued, and how it ended."""
    monkeypatch.setattr(array_task, "warm_up", lambda: None)

    def call(folder: Path) -> list[str]:
        environment, submission = JobEnvironment(), DelayedSubmission(ArrayTask(folder, "runs", 0))
        submission.set_timeout(30, 10**9)
        said: list[str] = []
        monkeypatch.setattr(type(environment), "_requeue", lambda self, left: said.append("requeued"))
        paths = JobPaths(folder / "submitit", "7", 0)
        paths.folder.mkdir(exist_ok=True)
        monkeypatch.setenv("SUBMITIT_FOLDER", str(folder / "submitit"))
        before = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            environment._handle_signals(paths, submission)
            said.append(f"returned {submission.result()}")
        except SystemExit as end:
            said.append(f"exit {end.code}")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return said

    return call


SIGNALS = (signal.SIGUSR2, signal.SIGTERM, signal.SIGCONT)


def test_submitit_returns_of_a_task_that_is_through(launch: Launch, called: Callable[[Path], list[str]]):
    folder = launch()
    assert called(folder) == ["returned 0"]
    assert noted_end(folder, "0") == 0


def test_submitits_warning_requeues_a_task(launch: Launch, pool: Script, called: Callable[[Path], list[str]]):
    folder = launch()
    pool.ends = {1: INTERRUPTED}
    pool.during = lambda seed: os.kill(os.getpid(), signal.SIGUSR2) if seed == 1 else None
    pool.after = 0.2  # a signal reaches the main thread in its own time
    assert called(folder) == ["requeued", "exit -1"]
    assert noted_end(folder, "0") == Exit.REQUEUE
    requeued = DelayedSubmission.load(folder / "submitit" / "7_submitted.pkl").function
    assert vars(requeued) == {"folder": folder, "kind": "runs", "index": 0}
    pool.ends, pool.during = {}, lambda seed: None
    half = folder / "submitit" / "7_submitted.pkl.save_tmp"
    half.touch()
    assert called(folder) == ["returned 0"]
    assert not half.exists(), "submitit would stumble over it at the next requeue"


def test_a_task_whose_rest_would_not_fit_requeues_itself(
    launch: Launch, pool: Script, called: Callable[[Path], list[str]]
):
    folder = launch("hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=100", seconds=499.9999)
    pool.ends = {0: Outcome("done", seconds=499.9999)}
    assert called(folder) == ["requeued", "exit -1"]


def test_a_cancelled_task_ends_with_checkpoints(
    launch: Launch, pool: Script, called: Callable[[Path], list[str]]
):
    folder = launch()
    pool.ends = {1: INTERRUPTED}
    pool.during = lambda seed: os.kill(os.getpid(), signal.SIGTERM) if seed == 1 else None
    pool.after = 0.2
    assert called(folder) == [f"exit {Exit.TERMINATED}"]
    assert pool.started == [0, 1]


def test_an_error_of_the_task_itself_is_raised(launch: Launch, pool: Script, called, monkeypatch):
    def fail(*arguments: object) -> None:
        raise RuntimeError("no workers at all")

    monkeypatch.setattr(pool, "run", fail)
    with pytest.raises(RuntimeError, match="no workers at all"):
        called(launch())
