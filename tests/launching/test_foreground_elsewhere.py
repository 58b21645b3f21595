"""A launch that runs elsewhere, seen through its events and claims; one in this process."""

import os
import platform
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from bie.execution.packs import Pack
from bie.execution.pool import _next
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import foreground, slurm
from bie.launching.events import note
from bie.launching.foreground import InThisProcess, News, follow, going
from bie.launching.launched import runs_of
from bie.store.claims import take
from bie.store.launches import add_jobs
from bie.store.owner import Owner
from bie.store.record import CHECKPOINT
from tests.execution.runs import Make

from .conftest import Launch


class Listener:
    """Notes what an observer is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def started(self, spec: RunSpec) -> None:
        self.told.append(("started", spec.config.seed))

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        raise AssertionError("epochs are not noted")

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        self.told.append(("ended", spec.config.seed, outcome.status))

    def stopping(self) -> None:
        raise AssertionError("nobody asked for it")


def test_what_tasks_note_is_told_once_each(launch: Launch):
    folder = launch()
    runs, seen = runs_of(folder), Listener()
    news = News(folder, runs)
    claim = take(runs[2].folder, Owner.here())
    assert claim is not None
    news.tell_started(seen)
    note(folder, "0", Outcome("done", seconds=1.0), runs[0])
    note(folder, "0", Outcome("interrupted"), runs[2])  # its task goes back into the queue
    note(folder, "0", Outcome("fruitless"))
    news.tell(seen)
    note(folder, "1", Outcome("failed", "nan"), runs[2])
    note(folder, "1", Outcome("before"), runs[0])  # by another task: it is over already
    news.tell(seen)
    news.tell_started(seen)
    claim.release()
    assert seen.told == [
        ("started", 2),
        ("started", 0),
        ("ended", 0, "done"),
        ("ended", 2, "failed"),
    ]


def test_it_goes_on_while_slurm_has_a_task_or_does_not_answer(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    folder = launch()
    assert not going(folder)
    add_jobs(folder, {"kind": "runs", "job_id": "7", "first_task": 0, "n_tasks": 1})

    def silent(jobs: list[str]) -> list[slurm.Told]:
        raise slurm.SlurmError("no answer in 60 s")

    monkeypatch.setattr(slurm, "queue", silent)
    assert going(folder)
    monkeypatch.setattr(slurm, "queue", lambda jobs: [slurm.Told("7_0", "PENDING")])
    assert going(folder)
    monkeypatch.setattr(slurm, "queue", lambda jobs: [])
    assert not going(folder)


def test_a_number_that_another_process_has_by_now_is_not_the_launch(launch: Launch):
    folder = launch()
    add_jobs(folder, {"kind": "runs", "pid": 1, "host": platform.node(), "first_task": 0, "n_tasks": 1})
    assert not going(folder)
    assert os.getpid() != 1


def test_a_launch_is_followed_to_its_end(launch: Launch, monkeypatch: pytest.MonkeyPatch, capsys):
    folder = launch()
    for spec, outcome in zip(
        runs_of(folder),
        (Outcome("done", seconds=1.0), Outcome("failed", "nan"), Outcome("decided"), Outcome("before")),
        strict=True,
    ):
        note(folder, "0", outcome, spec)
    monkeypatch.setattr(foreground, "LOOK", 0.0)
    board = follow(folder, 3)
    assert (board.done, board.failed, board.decided, board.before) == (1, {"nan": 1}, 1, 1)
    assert "4/4   3 workers" in capsys.readouterr().out


def test_a_launch_whose_tasks_are_gone_is_not_waited_for(launch: Launch, monkeypatch: pytest.MonkeyPatch):
    folder: Path = launch()
    monkeypatch.setattr(foreground, "LOOK", 0.0)
    monkeypatch.setattr(foreground, "ASK", -1.0)
    assert follow(folder, 3).left.total() == 4


class Watcher:
    """Notes how runs end; may act on epochs."""

    def __init__(self, on_epoch: Callable[[int], None] = lambda epoch: None) -> None:
        self.ends, self.said, self._on_epoch = list[tuple[str, str]](), 0, on_epoch

    def started(self, spec: RunSpec) -> None: ...

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        self._on_epoch(epoch)

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        self.ends.append((spec.title, outcome.status))

    def stopping(self) -> None:
        self.said += 1


def test_what_is_not_admitted_is_left_out(make_run: Make) -> None:
    specs, watcher = [make_run(name) for name in ("long", "short")], Watcher()
    InThisProcess().run(specs, watcher, lambda pack: pack[0].title == "short")
    assert watcher.ends == [("short", "done")]
    assert not specs[0].folder.exists()
    queue = deque[Pack]((spec,) for spec in [*specs, *specs])
    assert _next(queue, lambda pack: pack[0].title == "short") == (specs[1],)
    assert _next(queue, lambda pack: False) is None
    assert not queue


def test_an_interrupted_launch_starts_nothing_more(make_run: Make) -> None:
    specs, runner = [make_run("one"), make_run("two")], InThisProcess()
    watcher = Watcher(lambda epoch: runner.interrupt())
    runner.run(specs, watcher)
    assert watcher.ends == [("one", "interrupted")]
    assert watcher.said == 1
    assert (specs[0].folder / CHECKPOINT).exists()
    assert not specs[1].folder.exists()
