"""Whether a process that a launch noted is still there, and still one of bie's."""

import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bie.store.owner import SLACK, Process


@contextmanager
def process_of(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these words on its command line, which the kernel shows a moment after it has begun."""
    command = ["python", "-c", "print(flush=True); input()", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, executable=sys.executable, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (("-m", "bie.run", "-m", "seed=0"), True),
        (("/home/me/.venv/bin/bie", "run"), True),
        (("main(3, 5, ['bie.execution.preload'])",), True),
        (("-m", "submitit.core._submit", "outputs/launches/20261129-1/submitit"), True),
        (("/home/me/bie/.venv/bin/pytest", "tests/test_bie_callbacks.py"), False),  # a checkout has this name
        ((), False),
    ],
)
def test_a_process_of_bie_is_known_by_a_word_of_its_command_line(words: tuple[str, ...], ours: bool) -> None:
    with process_of(*words) as process:
        noted = Process(process.pid, platform.node(), time.time(), "20261129-1")
        assert noted.alive() is ours
    assert not noted.alive()


def test_a_number_that_was_given_to_a_later_process_is_not_ours() -> None:
    with process_of("bie") as process:
        assert Process(process.pid, platform.node(), time.time(), "x").alive()
        assert not Process(process.pid, platform.node(), time.time() - SLACK - 60, "x").alive()
        assert not Process(process.pid, "another host", time.time(), "x").alive()
