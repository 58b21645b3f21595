"""End the jobs and the processes of a study's launches."""

import os
import platform
import signal
from collections import Counter
from collections.abc import Iterator

from bie.cluster import slurm
from bie.cluster.census import take_census
from bie.cluster.folders import Launch
from bie.cluster.states import queued
from bie.store.paths import Tree


def cancel(tree: Tree) -> Iterator[str]:
    """Cancel the arrays that are in the queue and stop the processes of this host; a line for each.

    Nothing but what the launches of the study noted as theirs is touched, and of the processes only those
    that are still the noted ones.
    """
    census = take_census(tree)
    yield from _cancel_arrays([array for launch in census.launches for array in launch.arrays])
    unfinished = {run.launch.id for run in census.runs if run.state not in ("done", "failed")}
    for launch in census.launches:
        yield from _stop_processes(launch, launch.id in unfinished)


def _cancel_arrays(arrays: list[str]) -> Iterator[str]:
    if not arrays:
        return
    try:
        by_array: dict[str, Counter[str]] = {}
        for (array, _), state in queued(slurm.queue(arrays)).items():
            by_array.setdefault(array, Counter())[state.phase] += 1
        if by_array:
            slurm.scancel(sorted(by_array))
    except slurm.SlurmError as error:
        yield f"Slurm: {error}. Not cancelled; where Slurm is: scancel {' '.join(arrays)}"
        return
    for array, phases in by_array.items():
        yield f"cancelled job {array}: {phases['running']:,} tasks running, {phases['waiting']:,} waiting"


def _stop_processes(launch: Launch, unfinished: bool) -> Iterator[str]:
    for process in launch.processes:
        if process.alive():
            os.kill(process.pid, signal.SIGTERM)
            yield f"stopped process {process.pid} of launch {launch.id}"
        elif process.host != platform.node() and unfinished:
            yield f"launch {launch.id} is on {process.host}; if it still runs, there: kill {process.pid}"
