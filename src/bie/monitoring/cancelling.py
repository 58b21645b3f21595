"""End the jobs and the processes of a study's launches."""

import os
import platform
import signal
from collections import Counter
from collections.abc import Iterator

from bie.launching import slurm
from bie.monitoring.folders import Launch
from bie.monitoring.states import queued
from bie.monitoring.study_status import read_status
from bie.store.paths import Tree


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
    for (array, _), state in queued(slurm.queue(arrays)).items():
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
