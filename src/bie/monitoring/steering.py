"""What can be done about a study: what failed or is missing is ordered anew, what goes on is cancelled."""

import os
import platform
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bie.analysis.parse import UNREADABLE
from bie.config import Local, Settings
from bie.errors import BadInput
from bie.launching import slurm
from bie.launching.launch import Order
from bie.monitoring.launches import SLURM, Launch
from bie.monitoring.runs import Run
from bie.monitoring.study_status import StudyStatus, read_status
from bie.planning.keys import did_you_mean
from bie.store.identity import SHOWN, canonical
from bie.store.launches import COLUMNS, POINTS, TASK, planned_points
from bie.store.paths import Tree
from bie.store.record import RECORD

CAUSES = frozenset(
    {"nan", "missing", UNREADABLE, *filter(None, [*slurm.ENDED.values(), *slurm.EXITS.values()])}
)
"""What ``--cause`` may name, in every study; a run that raised may have brought one of its own."""

Settle = Callable[[dict[str, Any]], Settings]
"""Settings of a new launch from those of an earlier one."""


@dataclass(frozen=True)
class Chosen:
    """Runs to do again, and how many are left alone."""

    runs: list[Run]
    unasked: int  # missing, and may be waiting or at work, as Slurm does not answer
    decided: int  # failed, of grid points that get no further seeds


def choose(status: StudyStatus, causes: Sequence[str]) -> Chosen:
    """Failed and missing runs; with `causes` those that failed of one of them (``missing`` is one too)."""
    runs, unasked, decided = [], 0, 0
    for run in status.runs:
        if run.state not in ("failed", "missing") or (causes and cause_of(run) not in causes):
            continue
        if run.state == "missing" and run.launch.launcher == SLURM and status.slurm_error:
            unasked += 1
        elif run.config_id[:SHOWN] in status.decided and run.cause != UNREADABLE:
            decided += 1
        else:
            runs.append(run)
    return Chosen(runs, unasked, decided)


def set_aside(tree: Tree, runs: Iterable[Run]) -> None:
    """Give the records that cannot be read another name, so that their runs count as not done."""
    for run in runs:
        if run.cause == UNREADABLE:
            record = run.folder(tree) / RECORD
            record.replace(record.with_name(f"unreadable-{RECORD}"))


def read_causes(typed: str | None, status: StudyStatus) -> list[str]:
    """Words of ``--cause``; none for every cause.

    Raises
    ------
    BadInput
        A word that is no cause, neither in general nor of a run of this study; or no word at all.
    """
    if typed is None:
        return []
    words = [word.strip() for word in typed.split(",") if word.strip()]
    known = sorted(CAUSES | {cause_of(run) for run in status.runs if run.state in ("failed", "missing")})
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        hint = did_you_mean(wrong[0], known) if wrong else ""
        raise BadInput(f"--cause {','.join(wrong)}: no such cause.{hint} Causes: {', '.join(known)}")
    return words


def cause_of(run: Run) -> str:
    """What ``--cause`` calls it."""
    return run.cause if run.state == "failed" else run.state


def orders(status: StudyStatus, runs: Iterable[Run], argv: Sequence[str], settle: Settle) -> list[Order]:
    """One order for the runs of each distinct launcher and site, those for jobs elsewhere first.

    Raises
    ------
    BadInput
        No launch says what a run is, or its cells are gone.
    """
    points = {config: point for launch in status.launches for config, point in launch.points.items()}
    rows = planned_points(status.tree)
    settled: dict[str, tuple[str, Settings]] = {}
    groups: dict[str, list[Run]] = {}
    for run in runs:
        _require(status.tree, run, points)
        if run.launch.id not in settled:
            settings = settle(run.launch.settings)
            settled[run.launch.id] = canonical(settings.model_dump(mode="json")), settings
        groups.setdefault(settled[run.launch.id][0], []).append(run)
    made = [
        Order(
            status.tree,
            argv,
            _plan(members, rows),
            {run.config_id: points[run.config_id] for run in members},
            0,
            settled[members[0].launch.id][1],
        )
        for members in groups.values()
    ]
    return sorted(made, key=lambda order: isinstance(order.settings.hydra.launcher, Local))


def _plan(runs: list[Run], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The plan of a launch of these runs; see `bie.planning.plan.Plan.columns`."""
    own = [{**rows[run.config_id], "seed": run.seed, "run_id": run.run_id} for run in runs]
    return {**{name: [row[name] for row in own] for name in COLUMNS}, TASK: list(range(len(runs)))}


def _require(tree: Tree, run: Run, points: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that a run can be done again by what its launches have left."""
    point = points.get(run.config_id)
    if point is None:
        raise BadInput(
            f"{run.folder(tree)}: no launch of this study says what this run is; "
            f"{run.launch.folder / POINTS} does not. Run the study's own command again"
        )
    if not (tree.prepared / point["shelf"]).is_dir():
        raise BadInput(
            f"{tree.prepared / point['shelf']}: the prepared cells of {point['title']} are gone. "
            "Run the study's own command again: it prepares them"
        )


def cancel(tree: Tree) -> Iterator[str]:
    """Stop the processes of this host and cancel the arrays that are in the queue; a line for each.

    Nothing but what the launches of the study noted as theirs is touched, and of the processes only those
    that are still the noted ones.

    Raises
    ------
    SlurmError
        Slurm does not answer: its jobs are not cancelled.
    """
    status = read_status(tree)
    unfinished = {run.launch.id for run in status.runs if run.state not in ("done", "failed")}
    for launch in status.launches:
        yield from _stop_processes(launch, launch.id in unfinished)
    arrays = [array for launch in status.launches for array in launch.arrays]
    if arrays:
        yield from _cancel_arrays(arrays)


def _cancel_arrays(arrays: list[str]) -> Iterator[str]:
    phases = {array: Counter[str]() for array in arrays}
    for (array, _), state in slurm.queue(arrays).items():
        if array in phases:
            phases[array][state.phase] += 1
    going = {array: counts for array, counts in phases.items() if counts}
    if going:
        slurm.scancel(list(going))
    for array, counts in going.items():
        yield f"cancelled job {array}: tasks running {counts['running']:,}, waiting {counts['waiting']:,}"


def _stop_processes(launch: Launch, unfinished: bool) -> Iterator[str]:
    for process in launch.processes:
        if process.alive():
            os.kill(process.pid, signal.SIGTERM)
            yield f"stopped process {process.pid} of launch {launch.id}"
        elif process.host != platform.node() and unfinished:
            yield f"launch {launch.id} is on {process.host}; if it still runs, there: kill {process.pid}"
