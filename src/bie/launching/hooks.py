"""Shell lines around submitit's command in the batch script of an array: its ``setup`` and ``teardown``.

Before: modules, variables, the user's own lines; the source as it was at the launch, unpacked on the node, so
that a task runs what was launched whatever the checkout has become. After: the source is removed, and how
the task ended is noted where Python could not, since it was killed: without accounting nobody else knows.

submitit 1.5.4 starts Python by ``srun`` unless told otherwise, and bie tells it otherwise: ``srun`` answers
the SIGTERM of ``scancel`` with SIGKILL for its step, so that no run could leave a checkpoint. Python is a
child of the batch shell instead, which hands on what it is warned of (``supervised``). With ``use_srun=true``
Slurm warns Python itself.
"""

import shlex
import sys
from pathlib import Path

from bie.config import Site, SubmititSlurm
from bie.launching.resources import uses_srun
from bie.store.launches import ENDED, SOURCE

SUPERVISED = "supervised"
"""Shell function that runs its arguments: the Python of a task."""


def python(launcher: SubmititSlurm, site: Site) -> str:
    """How submitit's command begins."""
    interpreter = _interpreter(launcher, site)
    return interpreter if uses_srun(launcher) else f"{SUPERVISED} {interpreter}"


def _interpreter(launcher: SubmititSlurm, site: Site) -> str:
    """What starts Python on a node, as one word of the shell."""
    return shlex.quote(launcher.python or site.python or sys.executable)


def setup(launcher: SubmititSlurm, site: Site, folder: Path, kind: str, first_task: int) -> list[str]:
    """Lines before submitit's command.

    Parameters
    ----------
    folder
        Of the launch.
    kind, first_task
        ``runs`` or ``canary``, and the number of the array's first task.
    """
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
    return [*_AFTER.splitlines(), *(launcher.teardown or []), "exit $code"]


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
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
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
rm -rf "$frozen"
trap - EXIT
note "$code"
"""
