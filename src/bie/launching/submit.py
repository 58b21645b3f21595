"""Hand the tasks of a launch to Slurm, wave after wave, by submitit, with shell lines around its command.

Before it (``setup``): modules, variables, the user's own lines; the source as it was at the launch, unpacked
on the node, so that a task runs what was launched whatever the checkout has become. After it (``teardown``):
the source is removed; a task that is not through goes back into the queue; and how it ended is noted where
Python could not, since it was killed: without accounting nobody else knows. Slurm is asked here: submitit
1.5.4 types ``scontrol requeue`` from Python, which may be in an image that has none of Slurm's commands.

submitit 1.5.4 starts Python by ``srun`` unless told otherwise, and bie tells it otherwise: ``srun`` answers
the SIGTERM of ``scancel`` with SIGKILL for its step, so that no run could leave a checkpoint. Python is a
child of the batch shell instead, which hands on what it is warned of (``supervised``). With ``use_srun=true``
Slurm warns Python itself.
"""

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, JobPaths
from submitit.helpers import clean_env, environment_variables

from bie.config import Settings, Site, SubmititSlurm
from bie.launching import slurm
from bie.launching.array_task import ArrayTask
from bie.launching.bundling import Bundling
from bie.launching.launched import n_canary_tasks
from bie.launching.resources import parameters, submitit_folder, uses_srun
from bie.store.launches import ENDED, SOURCE, Exit, add_jobs, stopped

NEVER = 10**9
"""Requeues that submitit allows: any number. bie counts those that got nothing done, submitit those after a
time limit, which it guesses from how long the task has run."""

SUPERVISED = "supervised"
"""Shell function that runs its arguments: the Python of a task."""


@dataclass(frozen=True)
class Wave:
    """One array: its kind (``runs`` or ``canary``), its first task, how many, and the jobs it waits for."""

    kind: str
    first_task: int
    n_tasks: int
    dependencies: tuple[str, ...] = ()


def submit(folder: Path, settings: Settings, bundling: Bundling, n_points: int) -> Iterator[str]:
    """Submit wave after wave. Each waits for the end of the one before: one throttle holds for all.

    Each job stands in ``jobs.json`` as soon as there is one; what is yielded are their names, for people.

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
            started_by = python(launcher, settings.site)
            executor = submitit.SlurmExecutor(files, max_num_timeout=NEVER, python=started_by)
            executor.update_parameters(**_parameters(folder, settings, launcher, wave))
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints a refusal, then raises it
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
        "setup": setup(launcher, settings.site, folder, wave.kind, wave.first_task),
        "teardown": teardown(launcher),
    }


@contextlib.contextmanager
def _outside_any_job() -> Iterator[None]:
    """Hide the settings of a job that the launch itself may run in; which cluster is meant stays known."""
    kept = {name: os.environ[name] for name in slurm.KEPT if name in os.environ}
    with clean_env(), environment_variables(**kept):
        yield


def _shown(job: str, n_tasks: int) -> str:
    return f"job {job}_[0-{n_tasks - 1}]" if n_tasks > 1 else f"job {job}"


def python(launcher: SubmititSlurm, site: Site) -> str:
    """How submitit's command begins."""
    interpreter = _interpreter(launcher, site)
    return interpreter if uses_srun(launcher) else f"{SUPERVISED} {interpreter}"


def _interpreter(launcher: SubmititSlurm, site: Site) -> str:
    """What starts Python on a node, as one word of the shell."""
    return shlex.quote(launcher.python or site.python or sys.executable)


def setup(launcher: SubmititSlurm, site: Site, folder: Path, kind: str, first_task: int) -> list[str]:
    """Lines before submitit's command, for an array of tasks of one kind (``runs`` or ``canary``)."""
    values = {
        "@FOLDER@": shlex.quote(str(folder)),
        "@NOTE@": f"{ENDED}/" if kind == "runs" else f"{ENDED}/{kind}-",
        "@FIRST@": str(first_task),
        "@SOURCE@": SOURCE,
        "@PYTHON@": _interpreter(launcher, site),
    }
    text = _BEFORE
    for mark, value in values.items():
        text = text.replace(mark, value)
    return [*_environment(launcher, site), *text.splitlines()]


def teardown(launcher: SubmititSlurm) -> list[str]:
    """Lines after submitit's command, whose exit code is the job's."""
    after = _AFTER.replace("@REQUEUE@", f"{Exit.REQUEUE:d}").replace("@TERMINATED@", f"{Exit.TERMINATED:d}")
    return [*after.splitlines(), *(launcher.teardown or []), "exit $code"]


def _environment(launcher: SubmititSlurm, site: Site) -> list[str]:
    modules = [f"module load {shlex.quote(name)}" for name in site.modules]
    variables = [f"export {key}={_expanding(value)}" for key, value in site.environment.items()]
    return [*modules, *variables, *site.setup, *(launcher.setup or [])]


def _expanding(value: str) -> str:
    """In double quotes: variables in it, such as ``$USER``, have their value on the node."""
    for character in ("\\", '"', "`"):
        value = value.replace(character, "\\" + character)
    return f'"{value}"'


_BEFORE = """\
folder=@FOLDER@
task=$((@FIRST@ + ${SLURM_ARRAY_TASK_ID:-0}))
ended=$folder/@NOTE@$task
mkdir -p "$folder/ended" && rm -f "$ended"
echo "=== task $task on $(hostname), restart ${SLURM_RESTART_COUNT:-0}, $(date -u +%FT%TZ)"
note() {  # how the task ended, unless Python has said so; readers never see half of it
  [ -e "$ended" ] || { printf '{"code": %d}\\n' "$1" >"$ended.$$" && mv "$ended.$$" "$ended"; }
}
frozen=$(mktemp -d "${TMPDIR:-/tmp}/bie-XXXXXXXX") || { note 73; exit 73; }
trap 'rm -rf "$frozen"' EXIT
@PYTHON@ -I -m zipfile -e "$folder/@SOURCE@" "$frozen" || { note 73; exit 73; }
export PYTHONPATH=$frozen/src PYTHONSAFEPATH=1 SUBMITIT_PREEMPT_SIGNAL=USR2
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
supervised() {  # a signal reaches this shell alone and ends `wait`: hand it on, and wait again
  (trap '' USR2; exec "$@") & child=$!  # ignored until Python listens
  trap 'kill -USR2 "$child"' USR2
  trap 'kill -TERM "$child"' TERM
  while kill -0 "$child" 2>/dev/null; do wait "$child"; done
  wait "$child"
}
"""

_AFTER = """\
code=$?
trap '' TERM USR2  # nobody is left to hand them on to
rm -rf "$frozen"
trap - EXIT
if [ "$code" = @REQUEUE@ ]; then  # unless Slurm has cancelled or ended it
  job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID} job=${job:-$SLURM_JOB_ID}
  if [ "$(squeue --noheader --jobs="$job" --format=%T || echo RUNNING)" = RUNNING ]; then
    scontrol requeue "$job" && echo "=== task $task goes back into the queue"
  else
    rm -f "$ended"
    code=@TERMINATED@
  fi
fi
note "$code"
"""
