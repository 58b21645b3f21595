"""Processes as others can find them, on this machine and on others."""

import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, as others can find it.

    Attributes
    ----------
    host, boot, pid_namespace
        Where its process id means something: node name, id of the boot, id of the namespace (a container has
        one of its own). The last two are None where the system has no such thing.
    pid
        Process id.
    slurm
        Slurm's name of the job it belongs to, ``81233_4``.
    launch
        Id of the launch that it works for.
    """

    host: str
    boot: str | None
    pid_namespace: str | None
    pid: int
    slurm: str | None = None
    launch: str | None = None

    @classmethod
    def here(cls, launch: str | None = None) -> "Owner":
        """This process."""
        boot, namespace = _text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid")
        return cls(platform.node(), boot, namespace, os.getpid(), _slurm(os.environ), launch)

    @property
    def place(self) -> tuple[str, str | None, str | None]:
        """Within one place a process id names one process."""
        return self.host, self.boot, self.pid_namespace


SLACK = 5.0
"""Seconds between the clocks of the kernel and of a file server."""


def runs(pid: int) -> bool:
    """Whether there is such a process here; one that only waits for its parent to notice does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    status = _text(f"/proc/{pid}/stat")
    return status is None or _fields(status)[0] not in "ZX"


_OF_BIE = re.compile(r"(^|\0|/)bie(\0|$)|(^|\0|')bie\.")
"""In a command line, its words ended by NUL: ``bie``, ``-m bie.run``, a server of workers; no folder."""


@dataclass(frozen=True)
class Process:
    """A process that a launch noted by its number.

    Attributes
    ----------
    noted
        When, by the clock of the file server (seconds since the epoch).
    launch
        Id of the launch.
    """

    pid: int
    host: str
    noted: float
    launch: str

    def alive(self) -> bool:
        """Whether it is still the same one, here and of bie.

        Numbers are used again: the process must have started before it was noted, and name ``bie`` or its
        launch on its command line. Where there is no ``/proc`` nothing is ours.
        """
        if self.host != platform.node() or not runs(self.pid):
            return False
        started = _started(self.pid)
        return started is not None and started <= self.noted + SLACK and _named(self.pid, self.launch)


def _named(pid: int, launch: str) -> bool:
    command = _text(f"/proc/{pid}/cmdline") or ""
    return launch in command or _OF_BIE.search(command) is not None


def _started(pid: int) -> float | None:
    """When a process started, in seconds since the epoch."""
    status, uptime = _text(f"/proc/{pid}/stat"), _text("/proc/uptime")
    if status is None or uptime is None:
        return None
    return time.time() - float(uptime.split()[0]) + int(_fields(status)[19]) / os.sysconf("SC_CLK_TCK")


def _fields(status: str) -> list[str]:
    """Of ``/proc/PID/stat``, from the state on: the name before it, in parentheses, may hold anything."""
    return status.rpartition(")")[2].split()


def _slurm(environment: Mapping[str, str]) -> str | None:
    array, index = (environment.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{index}" if array and index else environment.get("SLURM_JOB_ID")


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - no path: "pid:[4026531836]"
    except OSError:
        return None
