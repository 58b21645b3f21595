"""A task: what it starts, and how it ends; as submitit runs, warns and requeues it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, JobPaths

from bie.execution.run_spec import Outcome
from bie.launching.array_task import ArrayTask, Incarnation
from bie.launching.launched import runs_of
from bie.store.claims import take
from bie.store.launches import Exit, noted_end, stopped
from bie.store.owner import Owner

from .conftest import Launch, Script

INTERRUPTED = Outcome("interrupted")


@pytest.fixture
def called(launch: Launch, pool: Script, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[str]]:
    """Runs a task as submitit does, signals and all; how it ended, and whether submitit requeued it."""

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


def test_a_warned_task_ends_as_one_that_goes_back(
    launch: Launch, pool: Script, called: Callable[[Path], list[str]]
):
    """Its shell puts it back: Python may be in an image that has no scontrol."""
    folder = launch()
    pool.ends = {1: INTERRUPTED}
    pool.during = lambda seed: os.kill(os.getpid(), signal.SIGUSR2) if seed == 1 else None
    pool.after = 0.2  # a signal reaches the main thread in its own time
    assert called(folder) == [f"exit {Exit.REQUEUE}"]
    assert noted_end(folder, "0") == Exit.REQUEUE
    pool.ends, pool.during = {}, lambda seed: None
    half = folder / "submitit" / "7_0_result.pkl.save_tmp"
    half.touch()
    assert called(folder) == ["returned 0"]
    assert not half.exists(), "submitit would stumble over it at its end"


def test_a_task_whose_rest_would_not_fit_goes_back(
    launch: Launch, pool: Script, called: Callable[[Path], list[str]]
):
    folder = launch("hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=100", seconds=499.9999)
    pool.ends = {0: Outcome("done", seconds=499.9999)}
    assert called(folder) == [f"exit {Exit.REQUEUE}"]


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


def incarnation(folder: Path) -> Incarnation:
    return Incarnation(ArrayTask(folder, "runs", 0))


def carry_out(folder: Path) -> int:
    task = incarnation(folder)
    task.carry_out()
    return task.exit_code()


def test_all_runs_done(launch: Launch, pool: Script):
    folder = launch()
    assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3]
    assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3], "nothing finished is run again"


def test_of_a_single_run_the_training_begins_before_what_scores_it_is_loaded(launch: Launch, pool: Script):
    assert carry_out(launch()) == 0
    assert carry_out(launch("seed=7")) == 0
    assert pool.asked == ["many", "one"]


def test_a_failed_run_is_not_tried_again_after_a_requeue(launch: Launch, pool: Script):
    folder = launch()
    pool.ends = {1: Outcome("failed", "nan", "loss"), 2: INTERRUPTED}
    assert carry_out(folder) == Exit.REQUEUE
    pool.ends = {}
    pool.started.clear()
    assert carry_out(folder) == Exit.FAILED
    assert pool.started == [2]


def test_a_full_disk_is_told_by_the_exit_code(launch: Launch, pool: Script):
    pool.ends = {1: Outcome("failed", "nan", "loss"), 2: Outcome("failed", "disk", "no space left")}
    assert carry_out(launch()) == Exit.DISK


def test_a_warned_task_starts_nothing_more_and_goes_back(launch: Launch, pool: Script):
    folder = launch()
    task = incarnation(folder)
    pool.during = lambda seed: task.warn() if seed == 1 else None
    pool.ends = {1: INTERRUPTED}
    task.carry_out()
    assert task.exit_code() == Exit.REQUEUE
    assert pool.started == [0, 1]


def test_only_incarnations_that_got_nothing_done_are_counted(launch: Launch, pool: Script):
    folder = launch("hydra.launcher.max_num_timeout=2")
    pool.ends = dict.fromkeys(range(4), INTERRUPTED)
    pool.epochs = 1
    assert [carry_out(folder) for _ in range(5)] == [Exit.REQUEUE] * 5
    pool.epochs = 0
    assert [carry_out(folder) for _ in range(3)] == [Exit.REQUEUE, Exit.REQUEUE, Exit.TIMEOUT]


def test_a_run_that_would_not_fit_is_left_for_the_next_incarnation(launch: Launch, pool: Script):
    folder = launch("hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=100", seconds=499.9999)
    pool.ends = {0: Outcome("done", seconds=499.9999)}
    assert carry_out(folder) == Exit.REQUEUE
    assert pool.started == [0], "the first is started in any case"


def test_identical_failures_stop_the_launch(launch: Launch, pool: Script):
    folder = launch("hydra.launcher.max_identical_failures=2")
    pool.ends = {seed: Outcome("failed", "nan", f"loss is nan in epoch {seed}") for seed in range(4)}
    assert carry_out(folder) == Exit.FAILED
    assert pool.started == [0, 1]
    assert "nan in epoch N" in str(stopped(folder))


def test_what_another_launch_is_at_is_not_left(launch: Launch, pool: Script):
    folder = launch()
    held = runs_of(folder)[3]
    pool.ends = {3: Outcome("elsewhere")}
    claim = take(held.folder, Owner.here("another"))
    assert claim is not None
    with claim:
        assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3]


def test_a_claim_of_an_earlier_incarnation_is_waited_for(
    launch: Launch, pool: Script, monkeypatch: pytest.MonkeyPatch
):
    folder = launch()
    held = runs_of(folder)[3]
    claim = take(held.folder, Owner.here(folder.name))
    assert claim is not None
    pool.ends = {3: Outcome("elsewhere")}

    def pass_time(seconds: float) -> None:
        claim.release()
        pool.ends = {}

    monkeypatch.setattr("time.sleep", pass_time)
    assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3, 3]
