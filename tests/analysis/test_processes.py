import os
import signal

import pytest

from bie import devices
from bie.analysis.processes import beside


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 2)


def test_another_process_does_it_with_what_is_here() -> None:
    given = {"is": object()}  # which could not be pickled
    found = beside(lambda: (os.getpid(), [*given]))
    process, keys = found()
    assert process != os.getpid()
    assert keys == ["is"]


def test_its_errors_are_raised_here() -> None:
    def work() -> None:
        raise OSError(28, "No space left on device", "runs.parquet")

    with pytest.raises(OSError, match="No space left") as raised:
        beside(work)()
    assert raised.value.filename == "runs.parquet"


def test_one_that_is_killed_is_no_result() -> None:
    found = beside(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RuntimeError, match="exit code -9"):
        found()


def test_with_one_core_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 1)
    assert beside(os.getpid)() == os.getpid()
