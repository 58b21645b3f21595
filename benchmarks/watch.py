"""Time and memory of a command with all the processes that it starts."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.2  # seconds between two looks


@dataclass
class Cost:
    """Of a command.

    Attributes
    ----------
    wall, cpu
        Seconds; of CPU time, what a process spends after the last look at it is not seen.
    memory
        Peak over time of the memory that its processes have of their own, a page that several share counted
        once: MiB. It does not count pages that only mirror a file, which the system takes back at will.
    mapped
        The same with these: MiB.
    """

    wall: float
    cpu: float
    memory: float
    mapped: float


def bie(*command: object) -> Cost:
    """Carry out ``python -m bie.COMMAND``."""
    return cost_of([sys.executable, "-m", *map(str, command)])


def cost_of(line: list[str]) -> Cost:
    """Carry out a command line."""
    start, spent = time.perf_counter(), dict[int, float]()
    own = mapped = 0.0
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None:
            alive = session(process.pid)
            spent |= alive
            now = memory(list(alive))
            own, mapped = max(own, now["Pss_Anon"] + now["Pss_Shmem"]), max(mapped, now["Pss"])
            time.sleep(_EVERY)
        wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{line}: exit code {process.returncode}")
    return Cost(wall, sum(spent.values()), own, mapped)


def session(leader: int) -> dict[int, float]:
    """All processes of a session, each with the CPU time that it has spent (s)."""
    found, ticks = {}, os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) == leader:
            found[int(path.parent.name)] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def memory(pids: list[int]) -> dict[str, float]:
    """Sums of what the kernel says of each process, MiB; shared pages are shared out."""
    total = dict.fromkeys(("Pss", "Pss_Anon", "Pss_Shmem", "Private_Dirty", "Private_Clean"), 0.0)
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for name, value in (line.split(":") for line in lines):
            if name in total:
                total[name] += int(value.split()[0]) / 1024
    return total
