"""Run tasks on this machine: persistent one-thread worker processes that can die alone.

The workers are forked from one server process that has the libraries loaded, so that a further worker
costs milliseconds and little memory. Each talks to its parent through a pipe; a worker that dies takes
down the run it was at, whose failure the parent then records, and is replaced.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from bie.sweep.task import Outcome, Task, leave_failure

_PRELOAD = ["bie.sweep.worker", "sklearn.cluster", "sklearn.metrics", "sklearn.neighbors"]
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Observer(Protocol):
    """Who wants to know how the tasks get on."""

    def started(self, slot: int, task: Task) -> None:
        """A worker took up a task."""

    def epoch(self, slot: int, epoch: int) -> None:
        """A worker finished an epoch of its task."""

    def ended(self, slot: int, task: Task, outcome: Outcome) -> None:
        """A task is done or has failed."""


class WorkersCannotStart(RuntimeError):  # noqa: N818
    """No worker came up; `log` says why."""


def single_threaded() -> None:
    """Give every numeric library one thread; to be called before any of them is loaded."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))


def warm_up() -> ForkServerContext:
    """Start loading the libraries of the workers, in the background."""
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    forkserver.ensure_running()
    return context


def run_here(tasks: Iterable[Task], observer: Observer) -> None:
    """Run tasks one after the other in this process: for debuggers and profilers."""
    from bie.sweep.worker import execute

    for task in tasks:
        observer.started(0, task)
        outcome = execute(task, lambda row: observer.epoch(0, int(row["epoch"])))
        observer.ended(0, task, outcome)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    ready: bool = False


class Pool:
    """Workers that take tasks in order, one at a time each.

    Parameters
    ----------
    context
        From `warm_up`.
    n_workers
        Number of processes.
    logs
        Folder for what the workers print, ``worker-0.log`` and so on.
    """

    def __init__(self, context: ForkServerContext, n_workers: int, logs: Path) -> None:
        self._context, self._logs = context, logs
        self._workers = [self._start(slot) for slot in range(n_workers)]

    def run(self, tasks: Iterable[Task], observer: Observer) -> None:
        """Run all tasks. Returns when each is done or has failed; stops all workers on any exception."""
        queue = deque(tasks)
        try:
            while queue or any(worker.task for worker in self._workers):
                ready = wait([worker.pipe for worker in self._workers])
                for slot, worker in enumerate(self._workers):
                    if worker.pipe in ready:
                        self._attend(slot, queue, observer)
        finally:
            self.stop()

    def stop(self) -> None:
        """End all workers at once; what they had not finished leaves no trace."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()

    def _start(self, slot: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        log = self._logs / f"worker-{slot}.log"
        process = self._context.Process(target=_serve, args=(theirs, log), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _attend(self, slot: int, queue: deque[Task], observer: Observer) -> None:
        worker = self._workers[slot]
        try:
            message = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(slot, observer)
            worker = self._workers[slot]
            return
        if isinstance(message, int):
            observer.epoch(slot, message)
            return
        worker.ready = True
        if message is not None and worker.task is not None:
            observer.ended(slot, worker.task, message)
        worker.task = queue.popleft() if queue else None
        if worker.task is not None:
            observer.started(slot, worker.task)
            worker.pipe.send(worker.task)

    def _bury(self, slot: int, observer: Observer) -> None:
        """Record the run that a dead worker was at and put a new worker in its place."""
        worker = self._workers[slot]
        worker.process.join()
        if not worker.ready:
            log = self._logs / f"worker-{slot}.log"
            raise WorkersCannotStart(f"worker {slot} ended before its first run; see {log}")
        if worker.task is not None:
            message = f"its worker process ended with {_ending(worker.process.exitcode)}"
            observer.ended(slot, worker.task, leave_failure(worker.task, "killed", message))
        self._workers[slot] = self._start(slot)


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return f"{name} (a full memory ends so)" if name == "SIGKILL" else name
    return f"exit code {exitcode}"


def _serve(pipe: Connection, log: Path) -> None:
    """Body of a worker: take tasks until the pipe or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _print_to(log)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from bie.sweep.worker import execute

    outcome = None
    while True:
        _tell(pipe, outcome)
        try:
            task = pipe.recv()
        except EOFError:
            return
        print(f"--- {task.folder}", flush=True)
        outcome = execute(task, lambda row: _tell(pipe, int(row["epoch"])))


def _tell(pipe: Connection, message: Outcome | int | None) -> None:
    try:
        pipe.send(message)
    except OSError:  # nobody listens any more: end without a word, above all without a failed.json
        os._exit(1)


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())


def _die_with_parent() -> None:
    """End this process as soon as the launching one has gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
