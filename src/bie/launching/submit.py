"""Hand the tasks of a launch to Slurm, wave after wave, through submitit."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, JobPaths
from submitit.helpers import clean_env, environment_variables

from bie.config import Settings, SubmititSlurm
from bie.launching import hooks, slurm
from bie.launching.array_task import ArrayTask
from bie.launching.bundling import Bundling
from bie.launching.launched import n_canary_tasks
from bie.launching.resources import parameters, submitit_folder
from bie.store.launches import add_jobs, stopped

NEVER = 10**9
"""Requeues that submitit allows: any number. bie counts those that got nothing done, submitit those after a
time limit, which it guesses from how long the task has run."""


@dataclass(frozen=True)
class Wave:
    """One array: its kind (``runs`` or ``canary``), its first task, how many, and the jobs it waits for."""

    kind: str
    first_task: int
    n_tasks: int
    dependencies: tuple[str, ...] = ()


def submit(folder: Path, settings: Settings, bundling: Bundling, n_points: int) -> Iterator[str]:
    """Submit wave after wave. Each waits for the end of the one before: one throttle holds for all.

    Each job stands in ``jobs.json`` as soon as there is one.

    Yields
    ------
    str
        Name of a job, for people.

    Raises
    ------
    SlurmError
        A job was not accepted; those before it run.
    """
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititSlurm)
    before = (launcher.dependency,) if launcher.dependency else ()
    gate: tuple[str, ...] = ()
    if launcher.canary:
        job = _submit_wave(folder, settings, Wave("canary", 0, n_canary_tasks(n_points), before))
        yield _shown(job, n_canary_tasks(n_points))
        gate, before = (f"afterok:{job}",), ()
    for n_tasks, first_task in zip(bundling.waves, bundling.first_tasks, strict=True):
        if stopped(folder):  # by the canary, or by the first wave
            return
        job = _submit_wave(folder, settings, Wave("runs", first_task, n_tasks, (*gate, *before)))
        yield _shown(job, n_tasks)
        before = (f"afterany:{job}",)


def _submit_wave(folder: Path, settings: Settings, wave: Wave) -> str:
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititSlurm)
    files = submitit_folder(launcher, folder)
    tasks = [ArrayTask(folder, wave.kind, wave.first_task + i) for i in range(wave.n_tasks)]
    try:
        with _outside_any_job():
            python = hooks.python(launcher, settings.site)
            executor = submitit.SlurmExecutor(files, max_num_timeout=NEVER, python=python)
            executor.update_parameters(**_parameters(folder, settings, launcher, wave))
            job = executor.submit_array(tasks)[0].job_id.partition("_")[0]
    except (FailedJobError, FailedSubmissionError) as error:
        raise slurm.SlurmError(slurm.one_line(str(error))) from None
    except (FileNotFoundError, RuntimeError):  # submitit looks for srun
        raise slurm.SlurmError(
            "sbatch is not on this machine: is this a login node of the cluster?"
        ) from None
    noted = {"kind": wave.kind, "job_id": job, "first_task": wave.first_task, "n_tasks": wave.n_tasks}
    add_jobs(folder, {**noted, "log": str(JobPaths(files).stdout)})
    return job


def _parameters(folder: Path, settings: Settings, launcher: SubmititSlurm, wave: Wave) -> dict[str, Any]:
    """Parameters of submitit for one array. A single task is a plain job."""
    own = parameters(launcher, settings.site)
    if wave.dependencies:
        own["additional_parameters"]["kill-on-invalid-dep"] = "yes"
        own["dependency"] = ",".join(wave.dependencies)
    return {
        **own,
        "array_parallelism": launcher.array_parallelism or wave.n_tasks,
        "setup": hooks.setup(launcher, settings.site, folder, wave.kind, wave.first_task),
        "teardown": hooks.teardown(launcher),
    }


@contextlib.contextmanager
def _outside_any_job() -> Iterator[None]:
    """Hide the settings of a job that the launch itself may run in; which cluster is meant stays known."""
    kept = {name: os.environ[name] for name in slurm.KEPT if name in os.environ}
    with clean_env(), environment_variables(**kept):
        yield


def _shown(job: str, n_tasks: int) -> str:
    return f"job {job}_[0-{n_tasks - 1}]" if n_tasks > 1 else f"job {job}"
