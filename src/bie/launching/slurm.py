"""Slurm's commands, each as one function. Nothing else in bie starts them.

What they print is read by functions of text alone, which the tests feed with what a real Slurm printed.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Queued:
    """One task in the queue, pending or running; `state` as ``squeue`` spells it out: ``PENDING``."""

    task: str
    state: str
    reason: str


def queue(jobs: Sequence[str]) -> list[Queued]:
    """Tasks of these jobs that wait or run; one that has ended is not among them."""
    try:
        return parse_queue(
            run("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%F_%K|%T|%r")
        )
    except SlurmError as error:
        if "Invalid job id" in str(error):  # all forgotten
            return []
        raise


def parse_queue(text: str) -> list[Queued]:
    """Read ``%F_%K|%T|%r``."""
    rows = (line.strip().split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return [Queued(*row) for row in rows]


def show_jobs(job: str) -> list[dict[str, str]]:
    """What the controller remembers of a job, one entry per task or range of pending tasks; often nothing."""
    try:
        return parse_jobs(run("scontrol", "--oneliner", "show", "job", job))
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return []
        raise


def parse_jobs(text: str) -> list[dict[str, str]]:
    """Read ``scontrol --oneliner show job``."""
    return [
        dict(re.findall(r"(?:^|\s)([A-Za-z][\w/:]*)=(\S*)", line))
        for line in text.splitlines()
        if "JobId=" in line
    ]


def accounting(jobs: Sequence[str], fields: Sequence[str]) -> list[dict[str, str]] | None:
    """Rows of ``sacct``, one per task; None where accounting is off or out of reach."""
    try:
        text = run(
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            f"--jobs={','.join(jobs)}",
            f"--format={','.join(fields)}",
        )
    except SlurmError:
        return None
    return [dict(zip(fields, line.split("|"), strict=False)) for line in text.splitlines() if line]


def seconds_left(job: str) -> float | None:
    """Time that a running job or task has left; None if it has no limit or is not running."""
    lines = run("squeue", "--noheader", f"--jobs={job}", "--format=%L").splitlines()
    return duration_s(lines[0]) if lines else None


# ---- limits


@dataclass(frozen=True)
class Limits:
    """What the cluster lets one submit.

    Attributes
    ----------
    array_size
        Tasks of one array: indices 0 to one less.
    quota
        Tasks that may still be submitted now, jobs in the queue counted.
    read
        False where the cluster could not be asked and Slurm's defaults stand in.
    """

    array_size: int
    quota: int
    read: bool


def limits(user: str, account: str | None = None, qos: str | None = None) -> Limits:
    """Limits for a user under an account and a quality of service, as far as they can be read."""
    try:
        settings = parse_config(run("scontrol", "show", "config"))
    except SlurmError:
        settings = {}
    array_size = int(settings.get("MaxArraySize", "1001"))
    capacity = int(settings.get("MaxJobCount", "10000"))
    queued = _queued() if settings else Counter[str]()
    own = _submit_limits(user, account, qos) if settings else []
    quota = min([capacity - queued.total(), *(most - queued[user] for most in own)])
    return Limits(max(array_size, 1), max(quota, 0), bool(settings))


def parse_config(text: str) -> dict[str, str]:
    """Read ``scontrol show config``."""
    return dict(re.findall(r"^(\S+)\s+=\s+(\S+)", text, re.MULTILINE))


def _queued() -> Counter[str]:
    """Tasks in the queue by user, pending ones one by one."""
    try:
        return Counter(run("squeue", "--noheader", "--array", "--format=%u").split())
    except SlurmError:
        return Counter()


def _submit_limits(user: str, account: str | None, qos: str | None) -> list[int]:
    """``MaxSubmitJobs`` of the user's association and of the quality of service; often there are none."""
    try:
        columns = "format=Account,MaxSubmitJobs,DefaultQOS"
        rows = _rows(run("sacctmgr", *_PLAIN, "show", "assoc", f"user={user}", columns))
        rows = [row for row in rows if account in (None, row[0])]
        names = {qos} if qos else {row[2] for row in rows if row[2]}
        own = [int(row[1]) for row in rows if row[1].isdigit()]
        found = [max(own)] if own and len(own) == len(rows) else []
        if len(names) == 1:
            text = run("sacctmgr", *_PLAIN, "show", "qos", *names, "format=MaxSubmitJobsPerUser")
            found += [int(cell) for row in _rows(text) for cell in row if cell.isdigit()]
        return found
    except SlurmError:  # no accounting
        return []


_PLAIN = ("--noheader", "--parsable2")


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.splitlines() if line]
