"""Whether a launch elsewhere goes on; one in this process."""

import os
import platform
from collections import deque
from collections.abc import Callable

import pytest

from bie.execution.packs import Pack
from bie.execution.pool import _next
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import slurm
from bie.launching.foreground import InThisProcess, going
from bie.store.launches import add_jobs
from bie.store.record import CHECKPOINT
from tests.execution.runs import Make

from .conftest import Launch


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
