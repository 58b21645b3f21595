"""What pools of workers and their callers say to each other, and the smallest pool: this process."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from bie.execution.packs import Pack, Packing
from bie.execution.task import Outcome, Task


class Observer(Protocol):
    """Who wants to know how the tasks get on.

    A slot is a number that is one run's while it is at work.
    """

    def started(self, slot: int, task: Task) -> None:
        """A worker took up a task."""

    def epoch(self, slot: int, epoch: int) -> None:
        """A worker finished an epoch of its task."""

    def ended(self, slot: int, task: Task, outcome: Outcome) -> None:
        """A task is over, in one way or another."""

    def stopping(self) -> None:
        """The launch was asked to stop; what runs goes on to the end of its epoch."""


Admit = Callable[[Pack], bool]


def everything(pack: Pack) -> bool:
    """Admit any pack."""
    return True


class InThisProcess:
    """Runs tasks one after the other in this process: for debuggers and profilers.

    Parameters
    ----------
    launch
        Id of the launch, for the claims.
    packing
        Which tasks run together, and where.
    """

    def __init__(self, launch: str | None = None, packing: Packing | None = None) -> None:
        self._launch, self._interrupted, self._packing = launch, False, packing or Packing()

    def run(self, tasks: Iterable[Task], observer: Observer, admit: Admit = everything) -> None:
        """Run all tasks that `admit` says yes to, when their turn comes; see `Pool.run`."""
        from bie.execution.pack_worker import execute_pack

        for pack in self._packing.packs(tasks):
            if self._interrupted:
                observer.stopping()
                return
            if admit(pack):
                for slot, task in enumerate(pack):
                    observer.started(slot, task)
                execute_pack(
                    pack,
                    lambda slot, row: observer.epoch(slot, int(row["epoch"])),
                    partial(_ended, observer, pack),
                    lambda: self._interrupted,
                    self._launch,
                    self._packing,
                )

    def interrupt(self) -> None:
        """Stop after the epoch at hand, with a checkpoint. Safe in a signal handler."""
        self._interrupted = True


def _ended(observer: Observer, pack: Pack, slot: int, outcome: Outcome) -> None:
    observer.ended(slot, pack[slot], outcome)
