"""What pools of workers and their callers say to each other, and the smallest pool: this process."""

from collections.abc import Callable, Iterable
from typing import Protocol

from bie.sweep.task import Outcome, Task


class Observer(Protocol):
    """Who wants to know how the tasks get on."""

    def started(self, slot: int, task: Task) -> None:
        """A worker took up a task."""

    def epoch(self, slot: int, epoch: int) -> None:
        """A worker finished an epoch of its task."""

    def ended(self, slot: int, task: Task, outcome: Outcome) -> None:
        """A task is over, in one way or another."""

    def stopping(self) -> None:
        """The launch was asked to stop; what runs goes on to the end of its epoch."""


Admit = Callable[[Task], bool]


def everything(task: Task) -> bool:
    """Admit any task."""
    return True


class InThisProcess:
    """Runs tasks one after the other in this process: for debuggers and profilers.

    Parameters
    ----------
    launch
        Id of the launch, for the claims.
    """

    def __init__(self, launch: str | None = None) -> None:
        self._launch, self._interrupted = launch, False

    def run(self, tasks: Iterable[Task], observer: Observer, admit: Admit = everything) -> None:
        """Run all tasks that `admit` says yes to, when their turn comes; see `Pool.run`."""
        from bie.sweep.worker import execute

        for task in tasks:
            if self._interrupted:
                observer.stopping()
                return
            if admit(task):
                observer.started(0, task)
                outcome = execute(
                    task,
                    lambda row: observer.epoch(0, int(row["epoch"])),
                    lambda: self._interrupted,
                    self._launch,
                )
                observer.ended(0, task, outcome)

    def interrupt(self) -> None:
        """Stop after the epoch at hand, with a checkpoint. Safe in a signal handler."""
        self._interrupted = True
