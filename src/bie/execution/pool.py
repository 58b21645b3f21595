"""Carry out runs on this machine: persistent one-thread worker processes that can die alone.

The workers are forked from one server process that has the libraries loaded, so that a further worker
costs milliseconds and little memory. Each talks to its parent through a pipe; a worker that dies takes
down the run it was at, whose failure the parent then records, and is replaced.
"""

import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from bie.execution.packs import Pack, Packing
from bie.execution.processes import how_ended, serve_parent
from bie.execution.run_spec import Observer, Outcome, RunSpec, disclaim, leave_killed, was_at

Admit = Callable[[Pack], bool]
_FAREWELL_S = 5.0


class WorkersCannotStart(RuntimeError):  # noqa: N818
    """No worker came up; `log` says why."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    left: dict[Path, RunSpec] = field(default_factory=dict)
    """Of its packs, by folder."""
    ready: bool = False


class Pool:
    """Workers that take packs of runs in order, each the next when it has trained one.

    Parameters
    ----------
    context
        From `bie.execution.processes.warm_up`.
    logs
        Folder for what the workers print, ``worker-0.log`` and so on; None: where this process prints.
    launch
        Its id, for the claims.
    """

    def __init__(self, context: ForkServerContext, logs: Path | None, launch: str, packing: Packing) -> None:
        self._context, self._logs, self._launch, self._packing = context, logs, launch, packing
        # Nothing is ever sent: once the parent has closed its end, everybody finds the pipe closed.
        self._closed, self._open = context.Pipe(duplex=False)
        self._workers = [self._start(slot) for slot in range(packing.n_workers)]

    def run(self, specs: Iterable[RunSpec], observer: Observer, admit: Admit = lambda pack: True) -> None:
        """Carry out all runs in order, but packs that `admit` declines when a worker is free for them.

        Returns when each has ended; stops all workers on any exception.
        """
        queue = deque(self._packing.packs(specs))
        interrupted = False
        try:
            while queue or any(worker.left for worker in self._workers):
                pipes = [worker.pipe for worker in self._workers if not worker.pipe.closed]
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
        """End all workers at once; what they had not finished leaves its last checkpoint at most.

        Those that have nothing left end by themselves: a library's semaphores would be left behind, and said.
        """
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            if worker.ready and not worker.left:
                worker.process.join(_FAREWELL_S)
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            for spec in worker.left.values():
                disclaim(spec)

    def _start(self, slot: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._closed, self._log(slot), self._launch, self._packing)
        process = self._context.Process(target=_serve, args=arguments)  # no daemon: it may have children
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _log(self, slot: int) -> Path | None:
        return None if self._logs is None else self._logs / f"worker-{slot}.log"

    def _attend(self, slot: int, queue: deque[Pack], observer: Observer, admit: Admit) -> None:
        worker = self._workers[slot]
        try:
            message = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(slot, queue, observer)
            return
        if message is not None:
            folder, news = message
            if isinstance(news, int):
                observer.epoch(worker.left[folder], news)
            else:
                observer.ended(worker.left.pop(folder), news)
            return
        worker.ready = True
        pack = _next(queue, admit)
        if pack is not None and not self._hand_over(worker, pack, observer):
            queue.appendleft(pack)

    def _hand_over(self, worker: _Worker, pack: Pack, observer: Observer) -> bool:
        """Give a worker a pack; False if it has died since it asked, which it will be buried for."""
        try:
            worker.pipe.send(pack)
        except OSError:
            return False
        for spec in pack:
            worker.left[spec.folder] = spec
            observer.started(spec)
        return True

    def _bury(self, slot: int, queue: deque[Pack], observer: Observer) -> None:
        """Record the run that a dead worker was at, and put a new worker in its place.

        Of several that it was at nobody knows which one ended it: each is tried again, alone. What it had not
        begun goes back too. After `interrupt` all are left to whoever goes on later.
        """
        worker = self._workers[slot]
        worker.process.join()
        left = list(worker.left.values())
        if self._open.closed:  # what ends a worker now is no fault of its run: an image may go with its task
            worker.pipe.close()
            worker.left.clear()
            self._give_back(left, observer)
            return
        if not worker.ready:
            log = self._log(slot) or "above"
            raise WorkersCannotStart(f"worker {slot} ended before its first run; see {log}")
        message = f"its worker process ended with {how_ended(worker.process.exitcode)}"
        begun = [spec for spec in left if was_at(spec, worker.process.pid)]
        guilty = begun if len(begun) == 1 else [] if begun else left
        again = [spec for spec in left if spec not in guilty]
        for spec in guilty:
            observer.ended(spec, leave_killed(spec, message))
        self._give_back(again, observer)
        queue.extendleft((spec,) for spec in reversed(again))
        self._workers[slot] = self._start(slot)

    @staticmethod
    def _give_back(specs: Sequence[RunSpec], observer: Observer) -> None:
        for spec in specs:
            disclaim(spec)
            observer.ended(spec, Outcome("interrupted"))


class InThisProcess:
    """Carries out runs one after the other in this process, as a `Pool` does: for debuggers and profilers.

    submitit's debug executor is not used for it: that of submitit 1.5.4 leaves its log files open, and
    answers an error with a debugger's prompt even where nobody can type.
    """

    def __init__(self, launch: str, packing: Packing) -> None:
        self._launch, self._interrupted, self._packing = launch, False, packing

    def run(self, specs: Iterable[RunSpec], observer: Observer) -> None:
        """Carry out all runs."""
        from bie.execution.worker import execute

        for pack in self._packing.packs(specs):
            if self._interrupted:
                observer.stopping()
                return
            for spec in pack:
                observer.started(spec)
            execute(
                pack, observer.epoch, observer.ended, lambda: self._interrupted, self._launch, self._packing
            )

    def interrupt(self) -> None:
        """Stop after the epoch at hand, with a checkpoint. Safe in a signal handler."""
        self._interrupted = True


def _next(queue: deque[Pack], admit: Admit) -> Pack | None:
    """The first pack that is admitted; those before it are dropped."""
    while queue:
        pack = queue.popleft()
        if admit(pack):
            return pack
    return None


def _serve(pipe: Connection, closed: Connection, log: Path | None, launch: str, packing: Packing) -> None:
    """Body of a worker: take packs until the pipe or the parent is gone."""
    gc.freeze()  # what was loaded before the fork stays in the pages that all workers share
    gc.enable()
    serve_parent()
    if log is not None:
        _print_to(log)
    from bie.execution.worker import Worker

    def tell(spec: RunSpec, news: int | Outcome) -> None:
        try:
            pipe.send((spec.folder, news))
        except OSError:  # nobody listens any more: end without a word, above all without a failed.json
            os._exit(1)

    with Worker(tell, tell, closed.poll, launch, packing) as worker:
        while True:
            try:
                pipe.send(None)  # there is room for the next pack
                worker.score_until(pipe)
                pack = pipe.recv()
            except (EOFError, BrokenPipeError, ConnectionResetError):
                return  # nobody listens: an orderly end, which gives back what libraries hold
            for spec in pack:
                print(f"--- {spec.folder}", flush=True)
            worker.execute(pack)


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
