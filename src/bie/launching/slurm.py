"""Slurm's commands, each as one function. Nothing else in bie starts them.

What they print is read by functions of text alone, which the tests feed with what a real Slurm printed.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
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
class Told:
    """What Slurm says of a task, or of tasks that are still one entry."""

    task: str  # ``81233_4``, ``81233_[5-9%2]``, or ``81233`` where there is no array
    state: str  # in Slurm's words: ``PENDING``, ``CANCELLED by 1000``
    code: str = ""  # ``exit:signal`` of what has ended


def queue(jobs: Sequence[str]) -> list[Told]:
    """Tasks of these jobs that wait or run; one that has ended is not among them."""
    return parse_rows(
        _of_known("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%F_%K|%T")
    )


def show_jobs(jobs: Sequence[str]) -> list[Told]:
    """What the controller remembers of jobs; often nothing."""
    return [
        told for job in jobs for told in parse_jobs(_of_known("scontrol", "--oneliner", "show", "job", job))
    ]


def accounting(jobs: Sequence[str]) -> list[Told]:
    """Rows of ``sacct``; none where accounting is off or out of reach."""
    columns = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State,ExitCode")
    try:
        return parse_rows(run("sacct", *columns, f"--jobs={','.join(jobs)}"))
    except SlurmError:
        return []


def _of_known(*command: str) -> str:
    """Output of a command about jobs, nothing if Slurm has forgotten all of them."""
    try:
        return run(*command)
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return ""
        raise


def parse_rows(text: str) -> list[Told]:
    """Read lines of task, state and, where it is there, code, between ``|``."""
    return [Told(*line.strip().split("|")) for line in text.splitlines() if "|" in line]


def parse_jobs(text: str) -> list[Told]:
    """Read ``scontrol --oneliner show job``."""
    lines = (line for line in text.splitlines() if "JobId=" in line)
    rows = (dict(re.findall(r"(?:^|\s)([A-Za-z]+)=(\S*)", line)) for line in lines)
    return [Told(_task(row), row.get("JobState", ""), row.get("ExitCode", "")) for row in rows]


def _task(row: Mapping[str, str]) -> str:
    return f"{row['ArrayJobId']}_{row['ArrayTaskId']}" if "ArrayTaskId" in row else row["JobId"]


def seconds_left(job: str) -> float | None:
    """Time that a running job or task has left; None if it has no limit or is not running."""
    lines = run("squeue", "--noheader", f"--jobs={job}", "--format=%L").splitlines()
    return duration_s(lines[0]) if lines else None


# ---- limits


@dataclass(frozen=True)
class Limits:
    """What the cluster lets one submit."""

    array_size: int  # tasks of one array: indices 0 to one less
    quota: int  # tasks that may still be submitted now, jobs in the queue counted
    read: bool  # False where the cluster could not be asked and Slurm's defaults stand in


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
