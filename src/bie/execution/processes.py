"""The processes that work for a command: the server they are forked from, and what they do about signals.

This module itself loads nothing, so that the server can start while the command is still being read.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from typing import Literal

_TRAINING = ["bie.execution.preload", "bie.execution.worker", "bie.methods.trained"]
_SCORING = ["sklearn.cluster", "sklearn.metrics", "sklearn.neighbors", "sklearn.neural_network", "ot"]
"""Each run is scored in a process of its own: what the server has not loaded, each loads anew."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

TO_THE_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
"""Signals that terminals and Slurm send to all processes at once; the parent decides what follows."""


def single_threaded() -> None:
    """Give every numeric library one thread; to be called before any of them is loaded."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))


def warm_up(n_runs: Literal["one", "many"] = "many") -> ForkServerContext:
    """Start loading the libraries of the workers, in the background.

    The worker of a single run loads what scores it when it gets there, so that the training begins earlier;
    the workers of many runs share what was loaded before them.
    """
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_TRAINING + (_SCORING if n_runs == "many" else []))
    with handled(signal.SIG_IGN, *TO_THE_GROUP):  # which the server inherits, and the workers from it
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def handled(handler: "signal._HANDLER", *signals: signal.Signals) -> Iterator[None]:
    """Handle signals otherwise for a while."""
    before = [signal.signal(number, handler) for number in signals]
    try:
        yield
    finally:
        for number, earlier in zip(signals, before, strict=True):
            signal.signal(number, earlier)


@contextlib.contextmanager
def stoppable(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM call `interrupt`, and the second raise KeyboardInterrupt."""
    asked = False

    def stop(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        interrupt()

    with handled(stop, signal.SIGINT, signal.SIGTERM):
        yield


def serve_parent() -> None:
    """Leave signals to the parent of this process, and end with it, however it goes."""
    for number in TO_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def how_ended(exitcode: int | None) -> str:
    """What ended a process, in words."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return f"{name} (a full memory ends so)" if name == "SIGKILL" else name
    return f"exit code {exitcode}"
