"""What pools of workers and their callers say to each other, and the smallest pool: this process."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from bie.execution.packs import Pack, Packing
from bie.execution.run_spec import Outcome, RunSpec


class Observer(Protocol):
    """Who wants to know how the runs get on.

    A slot is a number that is one run's while it is at work.
    """

    def started(self, slot: int, spec: RunSpec) -> None:
        """A worker took up a run."""

    def epoch(self, slot: int, epoch: int) -> None:
        """A worker finished an epoch of its run."""

    def ended(self, slot: int, spec: RunSpec, outcome: Outcome) -> None:
        """A run is over, in one way or another."""

    def stopping(self) -> None:
        """The launch was asked to stop; what runs goes on to the end of its epoch."""


Admit = Callable[[Pack], bool]


def everything(pack: Pack) -> bool:
    """Admit any pack."""
    return True


class InThisProcess:
    """Carries out runs one after the other in this process: for debuggers and profilers.

    submitit's debug executor is not used for it: that of submitit 1.5.4 leaves its log files open, and
    answers an error with a debugger's prompt even where nobody can type.

    Parameters
    ----------
    launch
        Id of the launch, for the claims.
    packing
        Which runs train together, and where.
    """

    def __init__(self, launch: str | None = None, packing: Packing | None = None) -> None:
        self._launch, self._interrupted, self._packing = launch, False, packing or Packing()

    def run(self, specs: Iterable[RunSpec], observer: Observer, admit: Admit = everything) -> None:
        """Carry out all runs that `admit` says yes to, when their turn comes; see `Pool.run`."""
        from bie.execution.worker import execute

        for pack in self._packing.packs(specs):
            if self._interrupted:
                observer.stopping()
                return
            if admit(pack):
                for slot, spec in enumerate(pack):
                    observer.started(slot, spec)
                execute(
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
