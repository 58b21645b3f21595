"""Daemons without systemd: processes that outlive the command that started them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class ClusterError(Exception):
    """The cluster cannot do what was asked; the text says why."""


class Daemon:
    """A process known again by its pid and its start time."""

    def __init__(
        self, folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name, self.command, self.environment = name, command, environment
        self.note, self.log = folder / "run" / name, folder / "log" / f"{name}.out"

    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        with contextlib.suppress(OSError, ValueError):
            pid, since = self.note.read_text().split()
            if _started(int(pid)) == since:
                return int(pid)
        return None

    def start(self) -> None:
        """Start it unless it runs."""
        if self.pid() is None:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=self.environment,
                )
            self.note.write_text(f"{process.pid} {_started(process.pid)}")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it, after 10 s with SIGKILL."""
        for number in (by, signal.SIGKILL):
            if pid := self.pid():
                os.kill(pid, number)
                until(lambda: self.pid() is None, 10)
        self.note.unlink(missing_ok=True)

    def wait(self, ready: Callable[[], bool], patience_s: float) -> None:
        """Until it is ready; fails with the end of its log when it dies or takes too long."""
        until(lambda: self.pid() is None or ready(), patience_s)
        if self.pid() is None or not ready():
            end = self.log.read_text(errors="replace").splitlines()[-5:]
            raise ClusterError("\n  ".join([f"{self.name} did not come up; the end of {self.log}:", *end]))


def until(done: Callable[[], bool], patience_s: float, every_s: float = 0.05) -> bool:
    """Wait for something; False where it did not come to pass."""
    end = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True


def kill_steps(log: Path) -> None:
    """SIGKILL to the slurmstepds of a node, known by its log that they write to, and to all below them."""
    below = _children()
    for pid in [pid for pid in below if _is_slurmstepd(pid) and str(log) in _open_files(pid)]:
        for victim in [pid, *_descendants(pid, below)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """State, parent and so on, the fields of proc(5) from the third."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since boot; None where it is gone or a zombie."""
    with contextlib.suppress(OSError):
        stat = _stat(pid)
        return stat[19] if stat[0] != "Z" else None
    return None


def _children() -> dict[int, list[int]]:
    """The children of every process of the machine."""
    below: dict[int, list[int]] = {int(path.name): [] for path in Path("/proc").glob("[0-9]*")}
    for pid in list(below):
        with contextlib.suppress(OSError):
            below.setdefault(int(_stat(pid)[1]), []).append(pid)
    return below


def _descendants(pid: int, below: Mapping[int, Sequence[int]]) -> Iterator[int]:
    for child in below.get(pid, []):
        yield child
        yield from _descendants(child, below)


def _is_slurmstepd(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "slurmstepd" in Path(f"/proc/{pid}/exe").readlink().name
    return False


def _open_files(pid: int) -> set[str]:
    files = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                files.add(str(entry.readlink()))
    return files
