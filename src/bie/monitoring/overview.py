"""The status of a study in words and numbers, once or again and again: its grid points, what to do next."""

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bie.execution.progress import live_view
from bie.monitoring.launches import Launch
from bie.monitoring.logs import failures, headline, seeds
from bie.monitoring.study_status import StudyStatus, read_status
from bie.planning.durations import duration
from bie.store.identity import SHOWN
from bie.store.paths import Tree

EVERY = 5.0  # seconds between two looks; longer where looking takes long
MOST_LINES = 5  # reasons that status names; `bie logs --failed` has them all
MOST_LETTERS = 90


@dataclass
class GridPoint:
    """A grid point: how many of its runs are in which state, and why some failed."""

    dataset: str
    model: str
    config_id: str
    states: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    @property
    def expected(self) -> int:
        """Number of runs asked for."""
        return self.states.total()


def grid_points(status: StudyStatus) -> list[GridPoint]:
    """The grid points in the order in which they were asked for."""
    found: dict[str, GridPoint] = {}
    for run in status.runs:
        point = found.get(run.config_id)
        if point is None:
            point = found[run.config_id] = GridPoint(run.dataset, run.model, run.config_id)
        point.states[run.state] += 1
        if run.state == "failed":
            point.causes[run.cause] += 1
    return list(found.values())


def as_json(status: StudyStatus) -> dict[str, object]:
    """The table in numbers."""
    counted = ("done", "running", "queued", "failed")
    return {
        "cells": [
            {
                "dataset": point.dataset,
                "model": point.model,
                "config_id": point.config_id,
                **{state: point.states[state] for state in counted},
                "expected": point.expected,
            }
            for point in grid_points(status)
        ]
    }


def as_text(status: StudyStatus) -> list[str]:
    """The table in lines, with a header of the last launch and the next commands below."""
    return [header(status), *_table(status), *_decided(status), *_ending(status)]


def _decided(status: StudyStatus) -> Iterator[str]:
    """Grid points that get no further seeds, and why."""
    for config, name in status.titles.items():
        if config[:SHOWN] in status.decided:
            yield f"stopped: {' '.join(name)}: {status.decided[config[:SHOWN]]}"


def header(status: StudyStatus) -> str:
    """Study, last launch, how long it has been going, tasks."""
    launch = status.launches[-1]
    tasks = tasks_of(status, launch)
    parts = [
        status.tree.root.resolve().name,
        f"launch {launch.id}",
        duration(time.time() - launch.since) if status.going else "",
        f"{tasks['running']:,} of {tasks.total():,} tasks running, {tasks['waiting']:,} waiting"
        if launch.jobs and status.going
        else "",
        f"stopped: {launch.stopped}" if launch.stopped else "",
    ]
    return " · ".join(part for part in parts if part)


def tasks_of(status: StudyStatus, launch: Launch) -> Counter[str]:
    """How many tasks of a launch are in which phase; those with all runs done have ended."""
    known = [state for (name, _), state in status.tasks.items() if name == launch.id]
    phases = Counter(state.phase for state in known)
    total = sum(int(job["n_tasks"]) for job in launch.jobs if job.get("kind") == "runs")
    return Counter({"running": phases["running"], "waiting": phases["waiting"]}) + Counter(
        ended=total - phases["running"] - phases["waiting"]
    )


def _table(status: StudyStatus) -> Iterator[str]:
    order = {config: i for i, config in enumerate(status.titles)}
    points = sorted(grid_points(status), key=lambda point: order[point.config_id])
    rows = [[*status.titles[point.config_id], _share(point)] for point in points]
    n_columns = max(map(len, rows))
    rows = [[*names, *[""] * (n_columns - len(names) - 1), share] for *names, share in rows]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for point, (*names, share) in zip(points, rows, strict=True):
        labels = [name.ljust(size) for name, size in zip(names, sizes, strict=False)]
        yield "  ".join([*labels, share.rjust(sizes[-1]), *_rest(point)])


def _share(point: GridPoint) -> str:
    return f"{point.states['done']}/{point.expected}"


def _rest(point: GridPoint) -> Iterator[str]:
    for state in ("running", "queued", "failed", "missing"):
        if n := point.states[state]:
            causes = ", ".join(cause for cause, _ in point.causes.most_common())
            yield f" {state} {n}" + (f" ({causes})" if state == "failed" else "")


def _ending(status: StudyStatus) -> Iterator[str]:
    """What failed of what, what is missing, and the commands that help."""
    yield from _reasons(status)
    states, named = Counter(run.state for run in status.runs), status.named
    if states["missing"] and status.slurm_error:
        yield f"{states['missing']:,} runs may be waiting or at work: {status.slurm_error}"
    elif states["missing"] and not status.going:
        yield f"{states['missing']:,} missing: asked for, not done, and nobody is at them"
    if status.going:
        yield f"  bie status{named} --watch     bie cancel{named}"
        return
    if states["failed"] or any(run.state == "missing" and run.launch.stopped for run in status.runs):
        yield f"  bie logs --failed{named}     why"
    if states["failed"] or states["missing"]:
        yield f"  bie retry{named}             again"
    if states["done"]:
        yield f"  bie aggregate{named}         table"


def _reasons(status: StudyStatus) -> Iterator[str]:
    found = failures(status.runs)
    if found:
        yield f"{headline(found)}:"
    for failure in found[:MOST_LINES]:
        cut = "..." if len(failure.message) > MOST_LETTERS else ""
        said = f"{failure.message[:MOST_LETTERS]}{cut}, {seeds(failure.runs)}"
        yield f"  {failure.cause:<9}  {len(failure.runs):>5}  {said}   {failure.command(status)}"
    if len(found) > MOST_LINES:
        yield f"  and {len(found) - MOST_LINES} more: bie logs --failed{status.named}"


def watch(status: StudyStatus) -> StudyStatus:
    """Look until nothing goes on, as far as that is known, or somebody types Ctrl-C; the last look."""
    with contextlib.suppress(KeyboardInterrupt), live_view(quiet_s=0) as view:
        while True:
            began = time.monotonic()
            share = sum(run.state == "done" for run in status.runs) / max(len(status.runs), 1)
            view.show(share, counts(status), below="\n".join(as_text(status)))
            if not (status.going or status.slurm_error):
                break
            time.sleep(max(EVERY, 4 * (time.monotonic() - began)))
            status = read_status(status.tree, status)
    return status


def stay(tree: Tree, launch: str) -> int:
    """Watch the study of a launch to its end; the exit code is that of the launch."""
    status = watch(read_status(tree, named=shlex.quote(str(tree.root))))
    print("\n".join(as_text(status)))
    if status.going:
        print("no longer watching; the launch goes on")
    return int(any(run.state != "done" for run in status.runs if run.launch.id == launch))


def counts(status: StudyStatus) -> str:
    """One line: how many runs are in which state."""
    states = Counter(run.state for run in status.runs)
    shown = [
        f"{state} {states[state]:,}" for state in ("running", "queued", "failed", "missing") if states[state]
    ]
    return "   ".join([f"{states['done']:,}/{len(status.runs):,} done", *shown])
