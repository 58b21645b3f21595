"""What a launching process does about signals."""

import contextlib
import signal
from collections.abc import Callable, Iterator


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
