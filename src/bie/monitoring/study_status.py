"""What has become of every run that a study asked for.

Records come first, then the claims of those at work, then failures, then what Slurm or the processes of a
launch tell of the tasks. A run of which nothing is known is missing, never dead.
"""

import functools
import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bie.analysis.parse import UNREADABLE, Parser
from bie.monitoring.folders import Launch, read_launches
from bie.monitoring.planned import Run, planned_runs
from bie.monitoring.states import State, ask, cause_of_exit
from bie.store.claims import CLAIM, living
from bie.store.identity import SHOWN
from bie.store.launches import BEFORE
from bie.store.owner import Process
from bie.store.paths import Tree, seed_name
from bie.store.record import FAILED, RECORD, decided, read

THREADS = 8  # a look at a folder of a file server is mostly waiting
GOING = ("running", "queued")

Place = tuple[str, int]
"""A task: id of its launch, index."""


@dataclass
class StudyStatus:
    """The runs of a study as they stand.

    Attributes
    ----------
    runs
        Every planned run with its state.
    launches
        In the order in which they were made.
    tasks
        State of the tasks that have runs left to do, as far as it is known.
    slurm_error
        Why Slurm could not be asked; None if it answered or there was nothing to ask.
    decided
        Why grid points get no further seeds, by the beginning of their ``config_id``.
    """

    tree: Tree
    runs: list[Run]
    launches: list[Launch]
    tasks: dict[Place, State] = field(default_factory=dict)
    slurm_error: str | None = None
    decided: dict[str, str] = field(default_factory=dict)

    @property
    def going(self) -> bool:
        """Whether anything is at work or waiting to be."""
        return any(run.state in GOING for run in self.runs)


def read_status(tree: Tree, before: StudyStatus | None = None) -> StudyStatus:
    """Look at all planned runs of a study.

    Parameters
    ----------
    before
        An earlier look at the same study: what was done then is done.
    """
    launches = read_launches(tree)
    status = StudyStatus(tree, planned_runs(launches), launches)
    done = {run.run_id for run in before.runs if run.state == "done"} if before else set()
    with ThreadPoolExecutor(THREADS) as pool:
        claimed = pool.map(lambda group: _look(tree, group, done), _by_config(status.runs))
        at_work = set().union(*claimed)
    _ask_tasks(status, at_work)
    fruitful = {(run.launch.id, run.task) for run in status.runs if run.state == "done" or _fresh(run)}
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


def _look(tree: Tree, runs: list[Run], done: set[str]) -> set[str]:
    """Note what the folders of the runs of one grid point show; the launches that are at work there."""
    at_work = set()
    folder = str(tree.config_dir(runs[0].dataset, runs[0].model, runs[0].config_id))
    seeds, parser = _names(folder), Parser()
    for run in runs:
        name = seed_name(run.seed)
        record = f"{folder}/{name}/{RECORD}"
        if run.run_id in done:
            run.state = "done"
        elif name in seeds and os.path.exists(record):  # noqa: PTH110 - 100,000 times
            _look_into(run, record, parser)
        elif name in seeds and (launch := _look_closer(run, Path(folder, name))):
            at_work.add(launch)
    return at_work


def _look_into(run: Run, record: str, parser: Parser) -> None:
    """Tell a run that has a record: done, if the tables can be made of it."""
    row = parser.record(record)
    run.state, run.cause = "done", ""
    if row["state"] == UNREADABLE:
        run.state, run.cause = "failed", UNREADABLE
        run.message = f"its record cannot be read: {row['cause'] or 'it is damaged'}"
        run.failed_at = math.inf  # whatever its task did since


def _names(folder: str | Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return set()


def _look_closer(run: Run, folder: Path) -> str | None:
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
        _look_into(run, str(folder / RECORD), Parser())
    return None


def _ask_tasks(status: StudyStatus, at_work: set[str]) -> None:
    """Find out about the tasks with runs left to do."""
    open_tasks = {
        (run.launch.id, run.task): run.launch
        for run in status.runs
        if run.state != "done" and run.task != BEFORE
    }
    keys = {place: launch.key_of(place[1]) for place, launch in open_tasks.items()}
    known = ask(key for key in keys.values() if key)
    status.slurm_error = known.slurm_error
    alive = functools.cache(Process.alive)
    for place, launch in open_tasks.items():
        key, process = keys[place], launch.process_of(place[1])
        if key:
            state = known.states.get(key)
        elif launch.id in at_work or (process and alive(process)):
            state = _local_state(launch, place[1])
        else:
            state = None
        if state := _with_exit_code(state, launch, place[1]):
            status.tasks[place] = state


def _local_state(launch: Launch, task: int) -> State | None:
    """State of a task of a launch whose process is alive."""
    if launch.exit_code(task) is not None:
        return None
    log = launch.log_of(task)
    return State("running" if log is None or log.is_file() else "waiting")


def _with_exit_code(state: State | None, launch: Launch, task: int) -> State | None:
    """What the task's own script noted, where nothing better is known."""
    if state and (state.phase != "ended" or state.cause):
        return state
    code = launch.exit_code(task)
    if code is None:
        return state
    return State("ended", cause_of_exit(code), f"exit code {code}")


def _fresh(run: Run) -> bool:
    """Whether the run failed in its last launch, not in an earlier one."""
    return run.state == "failed" and run.failed_at >= run.launch.since


def _judge(run: Run, status: StudyStatus, fruitful: set[Place]) -> None:
    """Settle the state of a run without a record by that of its task."""
    place = (run.launch.id, run.task)
    task = status.tasks.get(place)
    if task is None or run.state in ("done", "running") or _fresh(run):
        return
    if task.phase != "ended":
        run.state, run.cause, run.message = "queued", "", ""
    elif run.state == "missing" and task.cause and not _explained(run, task, fruitful):
        cause = "oom" if task.cause == "killed" and run.launch.met_memory_limit(run.task) else task.cause
        run.state, run.cause, run.message = "failed", cause, _end_of(run, task)


def _explained(run: Run, task: State, fruitful: set[Place]) -> bool:
    """Whether the task ended so because of its other runs, or because the launch was stopped."""
    if run.launch.stopped:
        return task.cause in ("error", "cancelled")
    return task.cause == "error" and (run.launch.id, run.task) in fruitful


def _end_of(run: Run, task: State) -> str:
    return f"task {run.launch.name_of(run.task)} ended ({task.word}) and left it undone"
