"""Start what is to be done: in this command, or in jobs that outlive it."""

import getpass
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from bie.config import Local, Settings, SubmititLocal, SubmititSlurm
from bie.errors import BadInput
from bie.execution.progress import Scoreboard
from bie.launching import local_queue
from bie.launching.bundling import Bundling, bundle, mean_seconds
from bie.launching.canary import n_canary_tasks
from bie.launching.follow import follow
from bie.launching.local_launch import conclude, run_locally
from bie.launching.local_queue import lane_count
from bie.launching.resources import check_gpus, cpus, resources, time_limit
from bie.launching.slurm import Limits, SlurmError, limits
from bie.launching.submit import submit
from bie.planning.durations import duration
from bie.store.launches import open_launch, stopped
from bie.store.paths import Tree

UNLIMITED = Limits(sys.maxsize, sys.maxsize, True)


@dataclass(frozen=True)
class Order:
    """Runs to do, and how.

    Attributes
    ----------
    tree
        Where they go.
    argv
        What was typed.
    runs
        config_id of each run to do, in order.
    points
        ``points.json``: what a run of each config_id is.
    columns
        ``plan.parquet``, given the task of the i-th run to do: `bie.planning.plan.Plan.columns`.
    n_before
        Runs that were done before.
    settings
        Launcher, site and the rest.
    """

    tree: Tree
    argv: Sequence[str]
    runs: Sequence[str]
    points: Mapping[str, Mapping[str, Any]]
    columns: Callable[[Callable[[int], int]], dict[str, list[Any]]]
    n_before: int
    settings: Settings


def launch(order: Order, context: ForkServerContext | None) -> int:
    """Carry out an order, or see it off; the exit code.

    Parameters
    ----------
    context
        Workers of this machine, for the launcher ``local``; None: run in this process.

    Raises
    ------
    BadInput
        Slurm does not take the job, or the runs do not fit into what it takes. Nothing was started.
    """
    launcher = order.settings.hydra.launcher
    if not isinstance(launcher, Local):
        return _away(order)
    if not order.runs:
        return conclude(Scoreboard({}, 1), order.n_before, order.tree)
    folder = _open(order, lambda _: 0)
    return conclude(run_locally(folder, order.settings, context), order.n_before, order.tree)


def _open(order: Order, task_of: Callable[[int], int]) -> Path:
    settings = order.settings.model_dump(mode="json")
    return open_launch(order.tree, order.argv, order.columns(task_of), order.points, settings)


def _away(order: Order) -> int:
    """Submit, say so, and return; or stay and watch."""
    if not order.runs:
        return conclude(Scoreboard({}, 1), order.n_before, order.tree)
    seconds = {name: point["seconds"] for name, point in order.points.items()}
    bundling, room = share_out(order.settings, Counter(order.runs), seconds)
    folder = _open(order, bundling.task_of).resolve()
    print(describe(bundling, order.settings, room))
    print(f"source, config and lock frozen in {order.tree.launches / folder.name}", flush=True)
    complete = _submit(folder, order, bundling)
    if complete and waits(order.settings):
        return _stay(folder, order)
    return 0 if complete else 1


def _stay(folder: Path, order: Order) -> int:
    """Watch a launch to its end; Ctrl-C ends the watching alone."""
    try:
        board = follow(folder, workers(order.settings))
    except KeyboardInterrupt:
        print(f"no longer watching; the launch goes on.  {_next(order.tree)}")
        return 1
    if reason := stopped(folder):
        print(f"the launch was stopped: {reason}")
    return conclude(board, order.n_before, order.tree)


def _next(tree: Tree) -> str:
    named = shlex.quote(str(tree.root))
    return f"bie status {named} --watch     bie cancel {named}"


def waits(settings: Settings) -> bool:
    """Whether the command stays until all is over."""
    launcher = settings.hydra.launcher
    return isinstance(launcher, Local) or launcher.wait


def _submit(folder: Path, order: Order, bundling: Bundling) -> bool:
    """Submit all jobs; False if only some were taken."""
    names: list[str] = []
    try:
        for name in _start(folder, order, bundling):
            names.append(name)
    except SlurmError as error:
        if not names:
            shutil.rmtree(folder)
            raise BadInput(f"Slurm did not take the job: {error}") from None
        print(f"Slurm took no more: {error}", file=sys.stderr)
        print("the same command later adds what is missing", file=sys.stderr)
        return False
    finally:
        if names:
            print(f"submitted {', '.join(names)}.  {_next(order.tree)}", flush=True)
    return True


def _start(folder: Path, order: Order, bundling: Bundling) -> Iterator[str]:
    """Start the tasks; names of their jobs."""
    if isinstance(order.settings.hydra.launcher, SubmititLocal):
        yield local_queue.start(folder, order.settings, bundling.n_tasks, len(order.points))
    else:
        yield from submit(folder, order.settings, bundling, len(order.points))


def share_out(
    settings: Settings, runs: Mapping[str, int], seconds: Mapping[str, float | None]
) -> tuple[Bundling, Limits]:
    """Bundle runs into the tasks of a launcher that is not ``local``.

    Parameters
    ----------
    runs
        Number of runs to do by grid point.
    seconds
        Expected seconds of a run by grid point.

    Raises
    ------
    BadInput
        They do not fit into what may be submitted.
    """
    launcher, site = settings.hydra.launcher, settings.site
    assert not isinstance(launcher, Local)
    check_gpus(settings)
    room = UNLIMITED
    if isinstance(launcher, SubmititSlurm):
        asked = resources(launcher, site)
        room = limits(getpass.getuser(), asked.get("account"), asked.get("qos"))
    if launcher.canary:
        room = replace(room, room=max(room.room - n_canary_tasks(len(runs)), 0))
    mean = mean_seconds([(seconds.get(point), n) for point, n in runs.items()])
    limit = 60.0 * time_limit(launcher, site)
    return bundle(sum(runs.values()), room, cpus(launcher, site), launcher.runs_per_job, mean, limit), room


def workers(settings: Settings) -> int:
    """Runs that are at work at a time, if the cluster has the room."""
    launcher = settings.hydra.launcher
    assert not isinstance(launcher, Local)
    tasks = lane_count(settings) if isinstance(launcher, SubmititLocal) else launcher.array_parallelism
    return (tasks or 1) * cpus(launcher, settings.site)


def describe(bundling: Bundling, settings: Settings, room: Limits) -> str:
    """One line on how the runs are shared out."""
    launcher = settings.hydra.launcher
    assert not isinstance(launcher, Local)
    each = f"{bundling.per_task} run{'s' * (bundling.per_task > 1)} each"
    tasks = f"{bundling.n_runs:,} runs; {bundling.n_tasks:,} task{'s' * (bundling.n_tasks > 1)} of {each}"
    if isinstance(launcher, SubmititLocal):
        return f"{tasks}, {lane_count(settings)} at a time, on this machine without Slurm"
    asked = resources(launcher, settings.site)
    known = "" if room.read else ", Slurm's default: the cluster could not be asked"
    n_waves = f"{len(bundling.waves)} wave{'s' * (len(bundling.waves) > 1)}"
    at_a_time = "" if launcher.array_parallelism is None else f", {launcher.array_parallelism:,} at a time"
    where = f", {asked['partition']} partition" if "partition" in asked else ""
    limit = f", limit {duration(60.0 * time_limit(launcher, settings.site))}"
    return f"{tasks} in {n_waves} (MaxArraySize {room.array_size}{known}){at_a_time}{where}{limit}"
