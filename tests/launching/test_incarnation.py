"""One task of a launch: what it starts, and how it ends."""

from pathlib import Path

import pytest

from bie.execution.run_spec import Outcome
from bie.launching.incarnation import Incarnation, Place
from bie.launching.launched import runs_of
from bie.store.claims import take
from bie.store.launches import Exit, stopped
from bie.store.owner import Owner

from .conftest import Launch, Script


def incarnation(folder: Path) -> Incarnation:
    return Incarnation(folder, "runs", 0, None)  # type: ignore[arg-type]


def carry_out(folder: Path) -> int:
    task = incarnation(folder)
    task.carry_out()
    return task.exit_code()


INTERRUPTED = Outcome("interrupted")


def test_all_runs_done(launch: Launch, pool: Script):
    folder = launch()
    assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3]
    assert carry_out(folder) == 0
    assert pool.started == [0, 1, 2, 3], "nothing finished is run again"


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


def test_a_cancelled_task_does_not_go_back(launch: Launch, pool: Script, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Place, "may_requeue", lambda self, terminated: False)
    pool.ends = {2: INTERRUPTED}
    assert carry_out(launch()) == Exit.TERMINATED


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
