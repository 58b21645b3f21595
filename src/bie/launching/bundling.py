"""Bundle the runs of a sweep into tasks, and the tasks into arrays that Slurm accepts."""

import getpass
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bie.config import Local, Settings, SubmititLocal, SubmititSlurm
from bie.errors import BadInput
from bie.launching import slurm
from bie.launching.launched import n_canary_tasks
from bie.launching.resources import check_gpus, cpus, resources, tasks_at_a_time, time_limit
from bie.planning.durations import duration


@dataclass(frozen=True)
class Limits:
    """What the cluster lets one submit."""

    array_size: int  # tasks of one array: indices 0 to one less
    quota: int  # tasks that may still be submitted now, jobs in the queue counted
    read: bool  # False where the cluster could not be asked and Slurm's defaults stand in


UNLIMITED = Limits(sys.maxsize, sys.maxsize, True)

SPREAD = 100
"""Tasks to aim at: enough to spread over a cluster, few enough to look at."""

SHORTEST = 300.0
"""Seconds below which a task is mostly its own start."""


@dataclass(frozen=True)
class Bundling:
    """How the runs of a launch are shared out."""

    n_runs: int
    per_task: int
    waves: tuple[int, ...]  # numbers of tasks in its arrays, one after the other
    limits: Limits = UNLIMITED

    @property
    def n_tasks(self) -> int:
        """Tasks over all waves."""
        return sum(self.waves)

    @property
    def first_tasks(self) -> list[int]:
        """First task of each wave."""
        return [sum(self.waves[:k]) for k in range(len(self.waves))]


def bundling_of(settings: Settings, runs: Mapping[str, int], seconds: Mapping[str, float | None]) -> Bundling:
    """Bundle runs, so many of each grid point, into the tasks of a launcher that is not ``local``.

    Raises
    ------
    BadInput
        They do not fit into what may be submitted.
    """
    launcher, site = settings.hydra.launcher, settings.site
    assert not isinstance(launcher, Local)
    check_gpus(settings)
    limits = UNLIMITED
    if isinstance(launcher, SubmititSlurm):
        asked = resources(launcher, site)
        limits = limits_of(getpass.getuser(), asked.get("account"), asked.get("qos"))
    if launcher.canary:
        limits = replace(limits, quota=max(limits.quota - n_canary_tasks(len(runs)), 0))
    mean = mean_seconds([(seconds.get(point), n) for point, n in runs.items()])
    limit = 60.0 * time_limit(launcher, site)
    return bundle(sum(runs.values()), limits, cpus(launcher, site), launcher.runs_per_job, mean, limit)


def limits_of(user: str, account: str | None = None, qos: str | None = None) -> Limits:
    """Limits for a user under an account and a quality of service, as far as they can be read."""
    try:
        settings = slurm.parse_config(slurm.run("scontrol", "show", "config"))
    except slurm.SlurmError:
        settings = {}
    array_size = int(settings.get("MaxArraySize", "1001"))
    capacity = int(settings.get("MaxJobCount", "10000"))
    queued = _queued() if settings else Counter[str]()
    own = _submit_limits(user, account, qos) if settings else []
    quota = min([capacity - queued.total(), *(most - queued[user] for most in own)])
    return Limits(max(array_size, 1), max(quota, 0), bool(settings))


def _queued() -> Counter[str]:
    """Tasks in the queue by user, pending ones one by one."""
    try:
        return Counter(slurm.run("squeue", "--noheader", "--array", "--format=%u").split())
    except slurm.SlurmError:
        return Counter()


def _submit_limits(user: str, account: str | None, qos: str | None) -> list[int]:
    """``MaxSubmitJobs`` of the user's association and of the quality of service; often there are none."""
    try:
        columns = "format=Account,MaxSubmitJobs,DefaultQOS"
        rows = _rows(slurm.run("sacctmgr", *_PLAIN, "show", "assoc", f"user={user}", columns))
        rows = [row for row in rows if account in (None, row[0])]
        names = {qos} if qos else {row[2] for row in rows if row[2]}
        own = [int(row[1]) for row in rows if row[1].isdigit()]
        found = [max(own)] if own and len(own) == len(rows) else []
        if len(names) == 1:
            text = slurm.run("sacctmgr", *_PLAIN, "show", "qos", *names, "format=MaxSubmitJobsPerUser")
            found += [int(cell) for row in _rows(text) for cell in row if cell.isdigit()]
        return found
    except slurm.SlurmError:  # no accounting
        return []


_PLAIN = ("--noheader", "--parsable2")


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.splitlines() if line]


def bundle(
    n_runs: int,
    limits: Limits,
    workers: int,
    asked: int | None = None,
    seconds: float | None = None,
    time_limit: float | None = None,
) -> Bundling:
    """Share runs out over tasks, each with `workers` of them at work at a time.

    Parameters
    ----------
    asked
        Runs of a task, where the user said so.
    seconds, time_limit
        What a run is expected to take, and a task may take, in seconds.

    Raises
    ------
    BadInput
        The runs do not fit into what may be submitted.
    """
    if n_runs == 0:
        return Bundling(0, 1, (), limits)
    if limits.quota == 0:
        raise BadInput(
            "the cluster takes no further jobs of yours now; wait until some have ended (squeue --me)"
        )
    fits = math.ceil(n_runs / limits.quota)
    per_task = asked or max(_sensible(n_runs, workers, seconds, time_limit), fits)
    if per_task < fits:
        raise BadInput(
            f"hydra.launcher.runs_per_job={asked}: that is {math.ceil(n_runs / per_task):,} tasks, and "
            f"{limits.quota:,} may be submitted now. The smallest value that fits is {fits}"
        )
    return Bundling(n_runs, per_task, waves(math.ceil(n_runs / per_task), limits.array_size), limits)


def _sensible(n_runs: int, workers: int, seconds: float | None, time_limit: float | None) -> int:
    """Runs of a task: spread wide, but no task shorter than some minutes or longer than half its limit."""
    spread = max(math.ceil(n_runs / SPREAD), min(workers, n_runs))
    if not seconds:
        return spread
    at_least = math.ceil(SHORTEST * workers / seconds)
    at_most = n_runs if time_limit is None else max(int(time_limit / 2 * workers / seconds), 1)
    return max(1, min(max(spread, at_least), at_most, n_runs))


def waves(n_tasks: int, array_size: int) -> tuple[int, ...]:
    """Sizes of the fewest arrays that hold all tasks.

    >>> waves(2100, 1001), waves(84, 1001)
    ((1001, 1001, 98), (84,))
    """
    full, rest = divmod(n_tasks, array_size)
    return (array_size,) * full + ((rest,) if rest else ())


def mean_seconds(points: Sequence[tuple[float | None, int]]) -> float | None:
    """Mean expected seconds of a run over grid points of (seconds, runs); None where one is not known."""
    known = [(seconds, n) for seconds, n in points if seconds is not None]
    if not points or len(known) < len(points):
        return None
    return sum(seconds * n for seconds, n in known) / sum(n for _, n in known)


def summary(bundling: Bundling, settings: Settings) -> str:
    """One line on how the runs are shared out."""
    launcher, limits = settings.hydra.launcher, bundling.limits
    assert not isinstance(launcher, Local)
    runs = f"{bundling.n_runs:,} run{'s' * (bundling.n_runs != 1)}"
    each = f"{bundling.per_task} run{'s' * (bundling.per_task > 1)} each"
    tasks = f"{runs}; {bundling.n_tasks:,} task{'s' * (bundling.n_tasks > 1)} of {each}"
    if isinstance(launcher, SubmititLocal):
        return f"{tasks}, {tasks_at_a_time(settings)} at a time, on this machine without Slurm"
    asked = resources(launcher, settings.site)
    known = "" if limits.read else ", Slurm's default: the cluster could not be asked"
    n_waves = f"{len(bundling.waves)} wave{'s' * (len(bundling.waves) > 1)}"
    at_a_time = "" if launcher.array_parallelism is None else f", {launcher.array_parallelism:,} at a time"
    where = f", {asked['partition']} partition" if "partition" in asked else ""
    limit = f", limit {duration(60.0 * time_limit(launcher, settings.site))}"
    return f"{tasks} in {n_waves} (MaxArraySize {limits.array_size}{known}){at_a_time}{where}{limit}"
