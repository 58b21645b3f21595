"""Processes of this host that belong to a launch."""

import os
import platform
import time
from pathlib import Path

SLACK = 5.0  # seconds between the clocks of the kernel and of a file server


def is_ours(pid: int, host: str, noted: float, launch: str) -> bool:
    """Whether a process that was noted by its number is still the same one, here and of bie.

    Numbers are used again: the process must have started before it was noted (`noted`, seconds since the
    epoch), and name ``bie`` or its launch on its command line. Where there is no ``/proc`` nothing is ours.
    """
    if host != platform.node():
        return False
    started = _started(pid)
    return started is not None and started <= noted + SLACK and _named(pid, launch)


def _named(pid: int, launch: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return False
    return "bie" in command or launch in command


def _started(pid: int) -> float | None:
    """When a living process started, in seconds since the epoch; None where it has ended."""
    try:
        status, uptime = Path(f"/proc/{pid}/stat").read_text(), Path("/proc/uptime").read_text()
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()  # the name in parentheses may hold anything
    if fields[0] in "ZX":
        return None
    age = float(uptime.split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age
