"""Slurm's commands, which `run` alone starts, and what they tell of tasks.

What they print is read by functions of text alone, which the tests feed with what a real Slurm printed.

Three commands are asked for tasks in turn, because each of them forgets or is missing: ``squeue`` shows only
what waits or runs, ``scontrol`` remembers an ended task for a few minutes (``MinJobAge``), ``sacct`` is
switched off on many clusters. A task that none of them knows is not known: that is never taken for its end.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bie.config.slurm_words import duration_s
from bie.store.launches import jobs as noted_jobs

TIMEOUT_S = 60  # seconds for one command; a controller that is busy or restarting answers within that
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Variables that say which cluster is meant; the others that Slurm sets are those of a job."""


class SlurmError(RuntimeError):
    """A Slurm command is missing, failed, or gave no answer in time."""


def run(*command: str, timeout_s: float = TIMEOUT_S) -> str:
    """Output of a command, with times in the format that is read here.

    Raises
    ------
    SlurmError
        Its own words, in one line.
    """
    # a launch from inside a job must not hand that job's own settings on to the new ones
    outside = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") or k in KEPT}
    try:
        done = subprocess.run(
            command,
            env=outside,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]} is not on this machine: is this a login node of the cluster?"
        ) from None
    except subprocess.TimeoutExpired as slow:
        said = slow.stderr.decode(errors="replace") if isinstance(slow.stderr, bytes) else slow.stderr or ""
        raise SlurmError(
            f"{command[0]} gave no answer in {timeout_s:.0f} s. {one_line(said)}".strip()
        ) from None
    if done.returncode:
        raise SlurmError(one_line(done.stderr or done.stdout) or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def one_line(text: str) -> str:
    """What a command said, each line once."""
    return "; ".join(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


# ---- submitting and steering


def scancel(jobs: Sequence[str], pending_only: bool = False) -> None:
    """Cancel jobs, whole arrays or single tasks (``81233_4``); those that have ended are passed over."""
    state = ["--state=PENDING"] if pending_only else []
    run("scancel", "--quiet", *state, *jobs)


def cancel_pending(folder: Path) -> None:
    """Take the tasks of a launch that have not started out of the queue."""
    arrays = [job["job_id"] for job in noted_jobs(folder) if "job_id" in job]
    if arrays:
        try:
            scancel(arrays, pending_only=True)
        except SlurmError as error:
            print(f"cannot cancel what waits: {error}", flush=True)


# ---- asking


Key = tuple[str, int]
"""Id of an array and index of a task in it."""

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
ENDED = {
    "COMPLETED": None,
    "FAILED": "error",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "OUT_OF_MEMORY": "oom",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preempted",
}
"""Cause that an end in Slurm's words gives to the runs left undone; None: it explains nothing.

Every word that stands in neither table (RUNNING, COMPLETING, SUSPENDED, ...) is a task at work.
"""

EXITS = {0: None, 9: "killed", 15: "cancelled", 73: "disk", 124: "timeout"}
"""Cause by exit code or signal: what a task's script and the runner in it end with, besides errors."""


@dataclass(frozen=True)
class State:
    """Where a task stands."""

    phase: Literal["waiting", "running", "ended"]
    cause: str | None = None  # of an ended task: why runs of it may be undone, where its end explains that
    word: str = ""  # Slurm's own, for people


def ask(wanted: Iterable[Key]) -> tuple[dict[Key, State], str | None]:
    """States of tasks, as far as any of Slurm's commands knows them; why it could not be asked, if so."""
    tasks, states = set(wanted), dict[Key, State]()
    try:
        for command in (queue, show_jobs, accounting):
            arrays = {array for array, _ in tasks - states.keys()}
            if arrays:
                states = command(sorted(arrays, key=int)) | states
    except SlurmError as error:
        return states, str(error)
    return states, None


def queue(jobs: Sequence[str]) -> dict[Key, State]:
    """Tasks of these jobs that wait or run; one that has ended is not among them."""
    return parse_rows(
        _of_known("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%F_%K|%T")
    )


def show_jobs(jobs: Sequence[str]) -> dict[Key, State]:
    """What the controller remembers of jobs; often nothing."""
    told = (_of_known("scontrol", "--oneliner", "show", "job", job) for job in jobs)
    return parse_jobs("\n".join(told))


def accounting(jobs: Sequence[str]) -> dict[Key, State]:
    """Rows of ``sacct``; none where accounting is off or out of reach."""
    columns = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State,ExitCode")
    try:
        return parse_rows(run("sacct", *columns, f"--jobs={','.join(jobs)}"))
    except SlurmError:
        return {}


def _of_known(*command: str) -> str:
    """Output of a command about jobs, nothing if Slurm has forgotten all of them."""
    try:
        return run(*command)
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return ""
        raise


def parse_rows(text: str) -> dict[Key, State]:
    """Read lines of task, state and, where it is there, code, between ``|``."""
    rows = (line.strip().split("|") for line in text.splitlines() if "|" in line)
    return _by_task((task, state_of(*told)) for task, *told in rows)


def parse_jobs(text: str) -> dict[Key, State]:
    """Read ``scontrol --oneliner show job``."""
    lines = (line for line in text.splitlines() if "JobId=" in line)
    rows = (dict(re.findall(r"(?:^|\s)([A-Za-z]+)=(\S*)", line)) for line in lines)
    return _by_task((_task(row), state_of(row.get("JobState", ""), row.get("ExitCode", ""))) for row in rows)


def _by_task(told: Iterable[tuple[str, State]]) -> dict[Key, State]:
    """States by task; those that are one entry share theirs."""
    return {key: state for task, state in told for key in _keys(task)}


def _task(row: Mapping[str, str]) -> str:
    return f"{row['ArrayJobId']}_{row['ArrayTaskId']}" if "ArrayTaskId" in row else row["JobId"]


def _keys(task: str) -> Iterator[Key]:
    """Array and index of each task; a plain job is task 0 of itself."""
    array, _, index = task.partition("_")
    return ((array, i) for i in ((0,) if index in ("", "N/A") else indices(index)))


def indices(text: str) -> Iterator[int]:
    """Indices of an array as Slurm writes them; what cannot be read is left out.

    >>> list(indices("[1-3,7%2]")), list(indices("0-6:3")), list(indices("N/A"))
    ([1, 2, 3, 7], [0, 3, 6], [])
    """
    for part in text.strip("[]").partition("%")[0].split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        if found:
            first, last, step = found.groups()
            yield from range(int(first), int(last or first) + 1, int(step or 1))


def state_of(word: str, code: str = "") -> State:
    """State for a word of Slurm's such as ``RUNNING`` or ``CANCELLED by 1000``, and ``exit:signal``."""
    name = word.split(" ")[0].rstrip("+")
    if name in WAITING:
        return State("waiting", None, name)
    if name not in ENDED:
        return State("running", None, name)
    numbers = [int(number) for number in code.split(":") if number.isdigit()]
    return State("ended", cause_of_exit(max(numbers, default=1)) if name == "FAILED" else ENDED[name], name)


def cause_of_exit(code: int) -> str | None:
    """Cause for the exit code of a task, or for the signal that ended it.

    ``sacct`` reports a script's exit code 137 as 9.
    """
    return EXITS.get(code - 128 if code > 128 else code, "error")


def seconds_left(job: str) -> float | None:
    """Time that a running job or task has left; None if it has no limit or is not running."""
    lines = run("squeue", "--noheader", f"--jobs={job}", "--format=%L").splitlines()
    return duration_s(lines[0]) if lines else None


def parse_config(text: str) -> dict[str, str]:
    """Read ``scontrol show config``."""
    return dict(re.findall(r"^(\S+)\s+=\s+(\S+)", text, re.MULTILINE))
