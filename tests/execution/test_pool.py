"""A pool of workers that do what the test says; one of this process alone."""

import gc
import os
import time
from collections import deque
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from socket import SHUT_RDWR, socket
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from bie.execution.packs import Pack, Packing
from bie.execution.pool import InThisProcess, Pool, _next, _serve
from bie.execution.run_spec import Outcome, RunSpec
from bie.store.record import CHECKPOINT
from tests.execution.runs import Make

Body = Callable[[Connection], None]
DONE = Outcome("done")


class Process:
    """A worker that does not outlive its body."""

    exitcode = -9

    def __init__(self, body: Body, pipe: Connection) -> None:
        self._pipe = Connection(os.dup(pipe.fileno()))
        self._thread = Thread(target=self._run, args=(body,))

    def _run(self, body: Body) -> None:
        body(self._pipe)
        self._pipe.close()

    def start(self) -> None:
        self._thread.start()
        self._thread.join(0.2)  # long enough to die, if that is all it does

    def join(self, timeout: float = 10) -> None:
        self._thread.join(timeout)

    def kill(self) -> None:
        self.was_killed = self._thread.is_alive()
        if not self._pipe.closed:
            with socket(fileno=os.dup(self._pipe.fileno())) as end:
                end.shutdown(SHUT_RDWR)


class Context:
    """Workers with these bodies, one after the other."""

    Pipe = staticmethod(Pipe)

    def __init__(self, *bodies: Body) -> None:
        self._bodies = list(bodies)

    def Process(self, target: object, args: tuple[Any, ...]) -> Process:  # noqa: N802
        return Process(self._bodies.pop(0), args[0])


class Packs(Packing):
    """Of one run each, whatever it is."""

    def packs(self, specs: Any) -> Any:
        return [(spec,) for spec in specs]


def run(name: str) -> Any:
    return SimpleNamespace(folder=Path(name))


class Observer:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def started(self, spec: Any) -> None:
        self.heard.append(("started", spec))

    def epoch(self, spec: Any, epoch: int) -> None:
        self.heard.append(("epoch", epoch))

    def ended(self, spec: Any, outcome: Outcome) -> None:
        self.heard.append((outcome.status, spec))

    def stopping(self) -> None:
        self.heard.append(("stopping", None))


def asks_and_dies(pipe: Connection) -> None:
    pipe.send(None)


def works(pipe: Connection) -> None:
    try:
        while True:
            pipe.send(None)
            for spec in pipe.recv():
                pipe.send((spec.folder, DONE))
    except (EOFError, OSError):
        return


def test_what_a_worker_has_not_got_before_it_died_is_done_by_the_next() -> None:
    context: Any = Context(asks_and_dies, works)
    pool, observer = Pool(context, None, "launch", Packs()), Observer()
    a, b = specs = [run("a"), run("b")]
    pool.run(specs, observer)
    assert observer.heard == [("started", a), ("done", a), ("started", b), ("done", b)]


def takes_and_dies(pipe: Connection) -> None:
    pipe.send(None)
    pipe.recv()


def takes_and_stops(pipe: Connection) -> None:
    pipe.send(None)
    (spec,) = pipe.recv()
    time.sleep(0.5)  # until the other has been buried
    pipe.send((spec.folder, Outcome("interrupted")))


def test_what_a_worker_was_at_when_all_were_stopped_has_not_failed() -> None:
    """Slurm's SIGTERM reaches what serves an image's files too: they go, and the worker with them.

    None is put in its place, and the others leave their checkpoints.
    """
    context: Any = Context(takes_and_dies, takes_and_stops)
    pool, observer = Pool(context, None, "launch", Packs(n_workers=2)), Observer()
    a, b = run("a"), run("b")
    observer.started = lambda spec: pool.interrupt() if spec is b else None  # type: ignore[method-assign]
    pool.run([a, b, run("c")], observer)
    assert [heard for heard in observer.heard if heard[0] != "stopping"] == [
        ("interrupted", a),
        ("interrupted", b),
    ]


def test_a_worker_that_has_nothing_left_ends_by_itself() -> None:
    """What libraries have registered in it is cleared up; of a killed one they say that it leaked."""
    context: Any = Context(works)
    pool = Pool(context, None, "launch", Packs())
    pool.run([run("a")], Observer())
    process: Any = pool._workers[0].process
    assert not process.was_killed


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
    specs = [make_run(name) for name in ("long", "short")]
    queue = deque[Pack]((spec,) for spec in [*specs, *specs])
    assert _next(queue, lambda pack: pack[0].title == "short") == (specs[1],)
    assert _next(queue, lambda pack: False) is None
    assert not queue


def test_an_interrupted_launch_starts_nothing_more(make_run: Make) -> None:
    specs, runner = [make_run("one"), make_run("two")], InThisProcess("launch", Packing())
    watcher = Watcher(lambda epoch: runner.interrupt())
    runner.run(specs, watcher)
    assert watcher.ends == [("one", "interrupted")]
    assert watcher.said == 1
    assert (specs[0].folder / CHECKPOINT).exists()
    assert not specs[1].folder.exists()


def test_a_worker_that_nobody_listens_to_any_more_ends_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by os._exit, which leaves the semaphores of libraries behind, and would end this test."""
    monkeypatch.setattr("bie.execution.pool.serve_parent", lambda: None)
    ours, theirs = Pipe()
    closed, _ = Pipe(duplex=False)
    ours.close()
    was_enabled = gc.isenabled()
    try:
        _serve(theirs, closed, None, "launch", Packing())
    finally:
        gc.unfreeze()
        if not was_enabled:
            gc.disable()
