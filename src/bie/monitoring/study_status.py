"""What has become of every run that a study asked for.

Records come first, then the claims of those at work, then failures, then what Slurm or the processes of a
launch tell of the tasks. A run of which nothing is known is missing, never dead.
"""

import functools
import json
import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from bie.analysis.files import Stamp, stamp_of
from bie.analysis.grid import describe_grid_points, flat
from bie.analysis.index import records_read
from bie.analysis.parse import UNREADABLE, Parser
from bie.analysis.processes import in_order
from bie.launching.slurm import State, ask, cause_of_exit
from bie.monitoring.launches import Launch, read_launches
from bie.monitoring.runs import Run, TaskId, planned_runs
from bie.store.claims import CLAIM, living
from bie.store.identity import SHOWN
from bie.store.launches import BEFORE, planned_points
from bie.store.owner import Process
from bie.store.paths import Tree, seed_name
from bie.store.record import FAILED, RECORD, decided, read

AT_ONCE = 5_000  # records that a core reads at a time
THREADS = 8  # a look at a folder of a file server is mostly waiting
GOING = ("running", "queued")


@dataclass
class StudyStatus:
    """The runs of a study as they stand."""

    tree: Tree
    runs: list[Run]
    launches: list[Launch]  # in the order in which they were made
    tasks: dict[TaskId, State] = field(default_factory=dict)  # with runs left to do, as far as they are known
    slurm_error: str | None = None  # why Slurm could not be asked, if so
    decided: dict[str, str] = field(default_factory=dict)
    """Why grid points get no further seeds, by the beginning of their ``config_id``."""
    named: str = ""
    """How commands to be copied name the study: a space and its tree; empty where they find it without."""

    @functools.cached_property
    def titles(self) -> dict[str, tuple[str, ...]]:
        """How people tell the grid points apart, in the order of the tables.

        By ``config_id`` the dataset, the model, and ``key=value`` of the settings that vary and act.
        """
        import pandas as pd

        points = planned_points(self.tree)
        grids = {config: flat(json.loads(row["grid"])) for config, row in points.items()}
        configs = {config: flat(json.loads(row["config"])) for config, row in points.items()}
        table = describe_grid_points(pd.DataFrame(list(points.values())), configs, grids)
        settings = [name for name in table.columns if name not in ("dataset", "model")]
        return {
            str(row.name): (
                *(row["dataset"], row["model"]),
                *(f"{name}={_short(row[name])}" for name in settings if not pd.isna(row[name])),
            )
            for _, row in table.iterrows()
        }

    @property
    def going(self) -> bool:
        """Whether anything is at work or waiting to be."""
        return any(run.state in GOING for run in self.runs)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_status(tree: Tree, before: StudyStatus | None = None, named: str = "") -> StudyStatus:
    """Look at all planned runs of a study.

    Parameters
    ----------
    before
        An earlier look at the same study: what was done then is done.
    named
        From `bie.store.paths.spelled`.
    """
    launches = read_launches(tree)
    status = StudyStatus(tree, planned_runs(launches), launches, named=f" {named}" if named else "")
    done = set[str]()
    if before:
        status.named, done = before.named, {run.run_id for run in before.runs if run.state == "done"}
        if len(before.launches) == len(launches):
            status.titles = before.titles
    known = {} if before else records_read(tree)
    recorded: list[tuple[Run, str]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        claimed = pool.map(lambda group: _look(tree, group, done, known, recorded), _by_config(status.runs))
        at_work = set().union(*claimed)
    _look_into(recorded)
    _ask_tasks(status, at_work)
    fruitful = {run.task_id for run in status.runs if run.state == "done" or _fresh(run)}
    for run in status.runs:
        _judge(run, status, fruitful)
    status.decided = decided(tree)
    status.runs = [run for run in status.runs if not _superfluous(run, status)]
    return status


def _superfluous(run: Run, status: StudyStatus) -> bool:
    """Whether a run was not started because its grid point was decided by then."""
    return run.state == "missing" and run.config_id[:SHOWN] in status.decided


def _by_config(runs: Iterable[Run]) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.config_id, []).append(run)
    return list(groups.values())


def _look(
    tree: Tree, runs: list[Run], done: set[str], known: dict[str, Stamp], recorded: list[tuple[Run, str]]
) -> set[str]:
    """Note what the folders of the runs of one grid point show; the launches that are at work there.

    Those with a record that is not known yet go to `recorded`, with its path.
    """
    at_work, start = set(), len(f"{tree.root}/")
    folder = str(tree.config_dir(runs[0].dataset, runs[0].model, runs[0].config_id))
    seeds = _names(folder)
    for run in runs:
        name = seed_name(run.seed)
        record = f"{folder}/{name}/{RECORD}"
        if run.run_id in done:
            run.state = "done"
        elif name in seeds and (stamp := stamp_of(record)):
            if known.get(record[start:]) == stamp:
                run.state = "done"
            else:
                recorded.append((run, record))
        elif name in seeds and (launch := _look_closer(run, Path(folder, name), recorded)):
            at_work.add(launch)
    return at_work


def _look_into(recorded: Sequence[tuple[Run, str]]) -> None:
    """Tell the runs that have a record: done, if the tables can be made of it."""
    parts = [recorded[start : start + AT_ONCE] for start in range(0, len(recorded), AT_ONCE)]
    paths = [[path for _, path in part] for part in parts]
    found = in_order(_unreadable, paths, None if len(parts) > 1 else 1)
    for (run, _), why in zip(recorded, chain.from_iterable(found), strict=True):
        run.state, run.cause = "done", ""
        if why is not None:
            run.state, run.cause = "failed", UNREADABLE
            run.message = f"its record cannot be read: {why or 'it is damaged'}"
            run.failed_at = math.inf  # whatever its task did since


def _unreadable(paths: Sequence[str]) -> list[str | None]:
    """Why the tables cannot be made of records; None of those of which they can."""
    rows = map(Parser().record, paths)
    return [row["cause"] if row["state"] == UNREADABLE else None for row in rows]


def _names(folder: str | Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return set()


def _look_closer(run: Run, folder: Path, recorded: list[tuple[Run, str]]) -> str | None:
    """Tell a run without a record by its claim or its failure; the launch of a living claim."""
    names = _names(folder)
    claim = living(folder) if CLAIM in names else None
    if claim:
        run.state = "running"
        return str(claim["launch"])
    if FAILED in names:
        failure = read(folder / FAILED) or {}
        run.state, run.failed_at = "failed", (folder / FAILED).stat().st_mtime
        run.cause, run.message = str(failure.get("cause", "unknown")), str(failure.get("message", ""))
    elif RECORD in names:  # published between the two looks
        recorded.append((run, str(folder / RECORD)))
    return None


def _ask_tasks(status: StudyStatus, at_work: set[str]) -> None:
    """Find out about the tasks with runs left to do."""
    unfinished = {run.task_id: run for run in status.runs if run.state != "done" and run.task != BEFORE}
    keys = {task_id: run.launch.key_of(run.task) for task_id, run in unfinished.items()}
    told, status.slurm_error = ask(key for key in keys.values() if key)
    alive = functools.cache(Process.alive)
    for task_id, run in unfinished.items():
        launch, key, process = run.launch, keys[task_id], run.launch.process_of(run.task)
        here = key is None and (launch.id in at_work or (process is not None and alive(process)))
        if state := _state(launch, run.task, told.get(key) if key else None, here):
            status.tasks[task_id] = state


def _state(launch: Launch, task: int, told: State | None, alive: bool) -> State | None:
    """State of a task: as Slurm told, if that explains anything; as it noted its end; by its live process."""
    if told and (told.phase != "ended" or told.cause):
        return told
    code = launch.exit_code(task)
    if code is not None:
        return State("ended", cause_of_exit(code), f"exit code {code}")
    if not alive:
        return told
    log = launch.log_of(task)
    return State("running" if log is None or log.is_file() else "waiting")


def _fresh(run: Run) -> bool:
    """Whether the run failed in its last launch, not in an earlier one."""
    return run.state == "failed" and run.failed_at >= run.launch.since


def _judge(run: Run, status: StudyStatus, fruitful: set[TaskId]) -> None:
    """Settle the state of a run without a record by that of its task."""
    task = status.tasks.get(run.task_id)
    if task is None or run.state in ("done", "running") or _fresh(run):
        return
    if task.phase != "ended":
        run.state, run.cause, run.message = "queued", "", ""
    elif run.state == "missing" and task.cause and not _explained(run, task, fruitful):
        cause = "oom" if task.cause == "killed" and run.launch.met_memory_limit(run.task) else task.cause
        run.state, run.cause, run.message = "failed", cause, _end_of(run, task)


def _explained(run: Run, task: State, fruitful: set[TaskId]) -> bool:
    """Whether the task ended so because of its other runs, or because the launch was stopped."""
    if run.launch.stopped:
        return task.cause in ("error", "cancelled")
    return task.cause == "error" and run.task_id in fruitful


def _end_of(run: Run, task: State) -> str:
    return f"task {run.launch.name_of(run.task)} ended ({task.word}) and left it undone"
