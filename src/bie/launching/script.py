"""The batch script of a launch: one text for all its tasks, on Slurm or in a rehearsal."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bie.config import Resources, Site, SubmititLocal, SubmititSlurm
from bie.store.launches import SOURCE

AGAIN = 75
"""Exit code of a task whose time or node is taken away before it is through: it is to be requeued."""

_ALTERNATIVES = (
    {"mem_gb", "mem_per_cpu", "mem_per_gpu"},
    {"gres", "gpus_per_node", "gpus_per_task"},
    {"nodelist", "exclude"},
)
"""Keys that say the same in different words: what the launcher says in one silences the site's others."""

Options = dict[str, str | None]


def resources(launcher: SubmititSlurm, site: Site) -> dict[str, Any]:
    """What a task asks for: the launcher's values, the site's where it has none."""
    own = {key: value for key in Resources.model_fields if (value := getattr(launcher, key)) is not None}
    covered = set(own).union(*(keys for keys in _ALTERNATIVES if keys & own.keys()))
    theirs = {key: value for key in Resources.model_fields if (value := getattr(site, key)) is not None}
    return {**{key: value for key, value in theirs.items() if key not in covered}, **own}


def time_limit(launcher: SubmititSlurm | SubmititLocal, site: Site) -> int:
    """Minutes that a task may take."""
    return launcher.timeout_min or site.timeout_min


def cpus(launcher: SubmititSlurm | SubmititLocal, site: Site) -> int:
    """CPUs of a task, each of which has one run at work."""
    return launcher.cpus_per_task or site.cpus_per_task or 1


def options(launcher: SubmititSlurm, site: Site, logs: Path) -> Options:
    """Options of ``sbatch`` that all arrays of a launch share."""
    asked = resources(launcher, site) | {"cpus_per_task": cpus(launcher, site)}
    named = {
        _sbatch_name(key): _sbatch_value(key, value) for key, value in asked.items() if value is not False
    }
    about = {key: getattr(launcher, key) for key in ("comment", "mail_type", "mail_user")}
    extra = {_sbatch_name(key): value for key, value in launcher.additional_parameters.items()}
    listed = {
        "job-name": launcher.name,
        "nodes": str(launcher.nodes),
        "ntasks-per-node": str(launcher.tasks_per_node),
        "time": str(time_limit(launcher, site)),
        **named,
        **{_sbatch_name(key): value for key, value in about.items() if value is not None},
        "requeue": None,
        "open-mode": "append",
        "output": f"{logs}/%A_%a.log",
        "signal": f"B:USR2@{launcher.signal_delay_s}",
        **extra,
    }
    return {key: None if value is True else value for key, value in listed.items() if value is not False}


def _sbatch_name(key: str) -> str:
    return "mem" if key == "mem_gb" else key.replace("_", "-")


def _sbatch_value(key: str, value: Any) -> str | bool:
    if key == "mem_gb":
        return f"{round(1024 * value)}M"
    return value if isinstance(value, bool) else str(value)


def header(listed: Options) -> list[str]:
    """Options as lines of a batch script."""
    quoted = {key: "" if value is None else f"={shlex.quote(value)}" for key, value in listed.items()}
    return [f"#SBATCH --{key}{value}" for key, value in quoted.items()]


def script(launcher: SubmititSlurm | SubmititLocal, site: Site, folder: Path) -> str:
    """Text of the batch script; its arguments: ``runs`` or ``canary``, and the first task of the array.

    It unpacks the frozen source on the node, so that a task runs what was launched, whatever the checkout
    has become; hands warnings on to Python; and notes how Python ended even where that was killed.
    """
    slurm = isinstance(launcher, SubmititSlurm)
    lines = header(options(launcher, site, folder / "logs")) if isinstance(launcher, SubmititSlurm) else []
    filled = {
        "@FOLDER@": shlex.quote(str(folder)),
        "@SOURCE@": SOURCE,
        "@PYTHON@": shlex.quote(launcher.python or sys.executable),
        "@AGAIN@": str(AGAIN),
        "@SETUP@": "\n".join(_setup(launcher, site)),
        "@PLACE@": _ON_SLURM if slurm else _HERE,
        "@CANCELLED@": "" if slurm else '[ -z "$cancelled" ] || note 143',
        "@REQUEUE@": 'scontrol requeue "$job"' if slurm else _RESTART,
    }
    return "\n".join(["#!/bin/bash", *lines, _fill(_BODY, filled)])


def _fill(text: str, values: Mapping[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _setup(launcher: SubmititSlurm | SubmititLocal, site: Site) -> list[str]:
    if isinstance(launcher, SubmititLocal):
        return list(launcher.setup)
    modules = [f"module load {shlex.quote(name)}" for name in site.modules]
    variables = [f"export {key}={_expanding(value)}" for key, value in site.environment.items()]
    return [*modules, *variables, *site.setup, *launcher.setup]


def _expanding(value: str) -> str:
    """In double quotes: variables in it, such as ``$USER``, have their value on the node."""
    for character in ("\\", '"', "`"):
        value = value.replace(character, "\\" + character)
    return f'"{value}"'


_ON_SLURM = """\
index=$SLURM_ARRAY_TASK_ID restart=${SLURM_RESTART_COUNT:-0}
job=${SLURM_ARRAY_JOB_ID}_$index"""

_RESTART = 'exec bash "$0" "$kind" "$first" "$index" $((restart + 1))'

_HERE = """\
index=${3:-0} restart=${4:-0}
job=local_$((first + index))"""

_BODY = """\
kind=$1 first=$2
@PLACE@
folder=@FOLDER@
python=@PYTHON@
task=$((first + index))
ended=$folder/ended/$task
[ "$kind" = runs ] || ended=$folder/ended/$kind-$task
mkdir -p "$folder/ended" && rm -f "$ended"
echo "=== task $task as $job on $(hostname), restart $restart, $(date -u +%FT%TZ)"

note() {  # how the task ended; readers never see half of it
  printf '{"code": %d, "job": "%s", "restart": %d}\\n' "$1" "$job" "$restart" >"$ended.$$"
  mv "$ended.$$" "$ended"
  exit "$1"
}
@SETUP@

# the source as it was at the launch, on this node
frozen=$(mktemp -d "${TMPDIR:-/tmp}/bie-XXXXXXXX") || note 73
trap 'rm -rf "$frozen"' EXIT
"$python" -I -m zipfile -e "$folder/@SOURCE@" "$frozen" || note 73
export PYTHONPATH=$frozen/src PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# a warning reaches this shell alone: hand it on, and wait again, as a signal ends `wait`
# (ignored at first, lest one that comes before Python is ready kill it)
(trap '' USR2; exec "$python" -m bie.launching.job "$folder" "$kind" "$task") & child=$!
cancelled=
trap 'kill -USR2 "$child"' USR2
trap 'cancelled=yes; kill -USR2 "$child"' TERM
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
rm -rf "$frozen"
[ "$code" = @AGAIN@ ] || note "$code"
@CANCELLED@
echo "=== task $task goes back into the queue"
trap - USR2 TERM EXIT
@REQUEUE@ || note "$code"
"""
