"""Score trained runs in processes of their own, several at a time, while this one trains others.

Each run has a process, forked when its turn comes: it finds model, cells and libraries where they are, so
that only the result travels, k runs at once need no k copies of the cells, and one that dies takes no other
with it.

A fork copies the calling thread alone: what another thread was holding is never let go. Those that live here
keep claims, watch the parent, or belong to torch and CUDA. None is in the middle of what scoring needs: numpy
and torch on one thread each, which start no threads and use no pool. A fork must not call CUDA either. Models
are on the CPU by then, and what else refers to the GPU is kept from the garbage collector. torch's own
`DataLoader` forks in the same way. A process that is not forked would load the libraries anew: seconds, and
hundreds of MiB each.
"""

import gc
import multiprocessing
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NoReturn

from bie.errors import RunFailed
from bie.execution.processes import how_ended, serve_parent
from bie.execution.recording import cause_of, message_of
from bie.experiment import Unscored
from bie.result import Result

NICE = 5
"""Scoring gives way to training, which keeps a GPU busy."""

End = Callable[[Callable[[], Result]], None]
"""Told how a run ended: by a function that gives its result, or raises what ended it. To be called once."""


def raising(error: Exception) -> Callable[[], NoReturn]:
    """What an `End` is told of a run that an error has ended."""

    def work() -> NoReturn:
        raise error

    return work


class Scorers:
    """Processes that score a run each, at most so many at a time.

    With 1 there are none: `add` scores the run itself, which defines the rest. So too where forks are not
    safe, which is everywhere but on Linux.
    """

    def __init__(self, n_processes: int) -> None:
        self._most = n_processes if sys.platform == "linux" else 1
        self._waiting: deque[tuple[Unscored, End]] = deque()
        self._busy: dict[Connection, tuple[BaseProcess, End]] = {}

    @property
    def pipes(self) -> list[Connection]:
        """Become readable when there is something to `attend` to."""
        return list(self._busy)

    def add(self, run: Unscored, end: End) -> None:
        """Score a run as soon as there is a process for it."""
        if self._most == 1:
            end(run)
            return
        self._waiting.append((run, end))
        self.attend()

    def attend(self, timeout_s: float | None = 0.0) -> None:
        """End the runs whose results are there, for the first of which it waits so long, and begin others."""
        ready = wait(self.pipes, timeout_s) if self._busy else []
        over = [(pipe, *self._busy.pop(pipe)) for pipe in self.pipes if pipe in ready]
        while self._waiting and len(self._busy) < self._most:  # before results are written, which takes time
            self._begin(*self._waiting.popleft())
        for pipe, process, end in over:
            end(partial(_received, pipe, process))

    def begin_all(self) -> None:
        """Wait until no run waits for a process."""
        while self._waiting:
            self.attend(None)

    def finish(self) -> None:
        """Wait until all runs have ended."""
        while self._busy:
            self.attend(None)

    def stop(self) -> None:
        """End all processes at once, and with them their runs, of which nobody hears again."""
        self._waiting.clear()
        for process, _ in self._busy.values():
            process.kill()
            process.join()
        self._busy.clear()

    def _begin(self, run: Unscored, end: End) -> None:
        try:
            run.finish()
        except Exception as error:  # goes to the border of the run, as what its process raises does
            end(raising(error))
            return
        try:
            pipe, process = _forked(run)
        except OSError as error:  # too many processes, or no memory for one more: what is trained is kept
            print(f"a run is scored here, since no process could be forked: {error}", flush=True)
            end(run.score)
        else:
            self._busy[pipe] = process, end


def _forked(run: Unscored) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_score, args=(run, theirs), daemon=True)
    with theirs:  # closed here, so that `ours` ends with the process
        gc.disable()  # the process begins without
        try:
            process.start()
        finally:
            gc.enable()
    return ours, process


def _score(run: Unscored, pipe: Connection) -> None:
    """Body of a process."""
    gc.freeze()  # graphs and tensors of the GPU that wait to be collected stay: to free them calls CUDA
    gc.enable()
    os.nice(NICE)
    serve_parent()
    try:
        found: Result | RunFailed = run.score()
    except Exception as error:  # reported where the record would be written; itself might not get there
        found = RunFailed(cause_of(error), message_of(error))
        found.add_note(traceback.format_exc())
    pipe.send(found)


def _received(pipe: Connection, process: BaseProcess) -> Result:
    with pipe:
        try:
            found: Result | RunFailed | None = pipe.recv()
        except (EOFError, OSError):
            found = None
    process.join()
    if isinstance(found, Result):
        return found
    raise found or RunFailed("killed", f"its scoring process ended with {how_ended(process.exitcode)}")
