"""Runs that failed or are missing, as orders for new launches."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bie.cluster.census import Census
from bie.cluster.folders import SLURM, Launch
from bie.cluster.launch import Order
from bie.cluster.planned import Run, plan_rows
from bie.config import Settings
from bie.store.identity import canonical
from bie.store.launches import COLUMNS, TASK
from bie.store.record import read

Settle = Callable[[dict[str, Any]], Settings]
"""Settings of a new launch from those of an earlier one."""


@dataclass(frozen=True)
class Chosen:
    """Runs to do again, and those that cannot be.

    Attributes
    ----------
    runs
        In the order of their launches.
    unknown
        Launches that noted too little to do their runs again, with the number of these.
    unasked
        Number of missing runs that may be waiting or at work, as Slurm does not answer.
    """

    runs: list[Run] = field(default_factory=list)
    unknown: dict[Launch, int] = field(default_factory=dict)
    unasked: int = 0


def choose(census: Census, causes: Sequence[str]) -> Chosen:
    """Failed and missing runs; with `causes` those that failed of one of them (``missing`` is one too)."""
    points = {config for launch in census.launches for config in launch.points}
    runs, unknown, unasked = [], Counter[str](), 0
    for run in census.runs:
        if run.state not in ("failed", "missing") or (causes and cause_of(run) not in causes):
            continue
        if run.state == "missing" and run.launch.launcher == SLURM and census.silence:
            unasked += 1
        elif run.config_id not in points:
            unknown[run.launch.id] += 1
        else:
            runs.append(run)
    return Chosen(runs, {launch: unknown[launch.id] for launch in census.launches if unknown[launch.id]}, unasked)


def cause_of(run: Run) -> str:
    """What ``--cause`` calls it."""
    return run.cause if run.state == "failed" else run.state


def command_of(launch: Launch) -> str:
    """What was typed to make a launch."""
    typed = read_argv(launch)
    return f"python -m bie.run {shlex.join(typed)}"
