"""Run tasks on this machine: persistent one-thread worker processes that can die alone.

The workers are forked from one server process that has the libraries loaded, so that a further worker
costs milliseconds and little memory. Each talks to its parent through a pipe; a worker that dies takes
down the run it was at, whose failure the parent then records, and is replaced.
"""

import gc
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

from bie.sweep.server import TO_THE_GROUP
from bie.sweep.task import Outcome, Task, disclaim, leave_killed
from bie.sweep.turns import Admit, Observer, everything


class WorkersCannotStart(RuntimeError):  # noqa: N818
    """No worker came up; `log` says why."""


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
        From `bie.sweep.server.warm_up`.
    n_workers
        Number of processes.
    logs
        Folder for what the workers print, ``worker-0.log`` and so on; None: where this process prints.
    launch
        Id of the launch, for the claims.
    """

    def __init__(
        self, context: ForkServerContext, n_workers: int, logs: Path | None, launch: str | None = None
    ) -> None:
        self._context, self._logs, self._launch = context, logs, launch
        # Nothing is ever sent: once the parent has closed its end, everybody finds the pipe closed.
        self._closed, self._open = context.Pipe(duplex=False)
        self._workers = [self._start(slot) for slot in range(n_workers)]

    def run(self, tasks: Iterable[Task], observer: Observer, admit: Admit = everything) -> None:
        """Run all tasks. Returns when each has ended; stops all workers on any exception.

        Parameters
        ----------
        tasks
            In the order in which they are to start.
        observer
            Is told how they get on.
        admit
            Asked when a worker is free for a task; a task that it declines is left out.
        """
        queue = deque(tasks)
        interrupted = False
        try:
            while queue or any(worker.task for worker in self._workers):
                pipes = [worker.pipe for worker in self._workers]
                ready = wait(pipes if interrupted else [*pipes, self._closed])
                if self._closed in ready:
                    interrupted = True
                    queue.clear()
                    observer.stopping()
                for slot, worker in enumerate(self._workers):
                    if worker.pipe in ready:
                        self._attend(slot, queue, observer, admit)
        finally:
            self.stop()

    def interrupt(self) -> None:
        """Let the workers stop after the epoch they are at, with checkpoints; then `run` returns.

        Safe in a signal handler, and more than once.
        """
        self._open.close()

    def stop(self) -> None:
        """End all workers at once; what they had not finished leaves its last checkpoint at most."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            if worker.task:
                disclaim(worker.task)

    def _start(self, slot: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._closed, self._log(slot), self._launch)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _log(self, slot: int) -> Path | None:
        return None if self._logs is None else self._logs / f"worker-{slot}.log"

    def _attend(self, slot: int, queue: deque[Task], observer: Observer, admit: Admit) -> None:
        worker = self._workers[slot]
        try:
            message = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(slot, observer)
            return
        if isinstance(message, int):
            observer.epoch(slot, message)
            return
        worker.ready = True
        if message is not None and worker.task is not None:
            observer.ended(slot, worker.task, message)
        worker.task = _next(queue, admit)
        if worker.task is not None:
            observer.started(slot, worker.task)
            worker.pipe.send(worker.task)

    def _bury(self, slot: int, observer: Observer) -> None:
        """Record the run that a dead worker was at and put a new worker in its place."""
        worker = self._workers[slot]
        worker.process.join()
        if not worker.ready:
            log = self._log(slot) or "above"
            raise WorkersCannotStart(f"worker {slot} ended before its first run; see {log}")
        if worker.task is not None:
            message = f"its worker process ended with {_ending(worker.process.exitcode)}"
            observer.ended(slot, worker.task, leave_killed(worker.task, message))
        self._workers[slot] = self._start(slot)


def _next(queue: deque[Task], admit: Admit) -> Task | None:
    """The first task that is admitted; those before it are dropped."""
    while queue:
        task = queue.popleft()
        if admit(task):
            return task
    return None


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return f"{name} (a full memory ends so)" if name == "SIGKILL" else name
    return f"exit code {exitcode}"


def _serve(pipe: Connection, closed: Connection, log: Path | None, launch: str | None) -> None:
    """Body of a worker: take tasks until the pipe or the parent is gone."""
    gc.freeze()  # what was loaded before the fork stays in the pages that all workers share
    gc.enable()
    for number in TO_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    if log is not None:
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
        outcome = execute(task, lambda row: _tell(pipe, int(row["epoch"])), closed.poll, launch)


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
