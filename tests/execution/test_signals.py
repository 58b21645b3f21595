"""Signals to a launch."""

import signal

import pytest

from bie.execution.signals import stoppable


def test_the_second_signal_is_the_last() -> None:
    calls: list[int] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stoppable(lambda: calls.append(1)), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        assert calls == [1]
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
