"""What processes do about signals, and about the end of each other."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator

TO_THE_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
"""Signals that terminals and Slurm send to all processes at once; the parent decides what follows."""


@contextlib.contextmanager
def ignored(*signals: signal.Signals) -> Iterator[None]:
    """Ignore signals for a while."""
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


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

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


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
