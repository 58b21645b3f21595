"""Hand the tasks of a launch to Slurm, or to processes of this machine that outlive the command."""

import platform
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bie import devices
from bie.config import Settings, SubmititLocal, SubmititSlurm
from bie.launching import slurm
from bie.launching.canary import n_canary_tasks
from bie.launching.cut import Cut
from bie.launching.script import cpus, options, script
from bie.store.launches import STOPPED, add_jobs, jobs, stopped
from bie.store.record import write_file

SCRIPT, LANES = "job.sh", "local.sh"


def submit(folder: Path, settings: Settings, cut: Cut, n_points: int) -> Iterator[str]:
    """Start the tasks of a launch; each job stands in ``jobs.json`` as soon as there is one.

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
    assert isinstance(launcher, SubmititLocal | SubmititSlurm)
    write_file(folder / SCRIPT, script(launcher, settings.site, folder).encode())
    canary = n_canary_tasks(n_points) if launcher.canary else 0
    if isinstance(launcher, SubmititLocal):
        yield _rehearse(folder, lane_count(settings), cut.n_tasks, canary)
    else:
        yield from _arrays(folder, launcher, settings, cut, canary)


# ---- Slurm


def _arrays(
    folder: Path, launcher: SubmititSlurm, settings: Settings, cut: Cut, canary: int
) -> Iterator[str]:
    """Submit wave after wave. Each waits for the end of the one before: one throttle holds for all."""
    common = options(launcher, settings.site, folder / "logs")
    first = [launcher.dependency] if launcher.dependency else []
    gate: list[str] = []
    if canary:
        job = _array(folder, launcher, common, ("canary", 0, canary), first)
        yield _shown(job, canary)
        gate, first = [f"afterok:{job}"], []
    before = first
    for n_tasks, first_task in zip(cut.waves, cut.first_tasks, strict=True):
        if stopped(folder):  # by the canary, or by the first wave
            return
        job = _array(folder, launcher, common, ("runs", first_task, n_tasks), [*gate, *before])
        yield _shown(job, n_tasks)
        before = [f"afterany:{job}"]


def _array(
    folder: Path,
    launcher: SubmititSlurm,
    common: dict[str, str | None],
    part: tuple[str, int, int],
    dependencies: list[str],
) -> str:
    kind, first_task, n_tasks = part
    throttle = "" if launcher.array_parallelism is None else f"%{launcher.array_parallelism}"
    own: dict[str, str | None] = {"array": f"0-{n_tasks - 1}{throttle}"}
    if dependencies:
        own |= {"dependency": ",".join(dependencies), "kill-on-invalid-dep": "yes"}
    job = slurm.sbatch(folder / SCRIPT, common | own, kind, str(first_task))
    add_jobs(folder, {"kind": kind, "job_id": job, "first_task": first_task, "n_tasks": n_tasks})
    return job


def _shown(job: str, n_tasks: int) -> str:
    return f"job {job}_[0-{n_tasks - 1}]" if n_tasks > 1 else f"job {job}_0"


def cancel_pending(folder: Path) -> None:
    """Take the tasks of a launch that have not started out of the queue."""
    arrays = [job["job_id"] for job in jobs(folder) if "job_id" in job]
    if arrays:
        try:
            slurm.scancel(arrays, pending_only=True)
        except slurm.SlurmError as error:
            print(f"cannot cancel what waits: {error}", flush=True)


# ---- this machine


def lane_count(settings: Settings) -> int:
    """Tasks of a rehearsal at a time: as many as asked for, or as the cores hold."""
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititLocal)
    return launcher.array_parallelism or max(devices.cores() // cpus(launcher, settings.site), 1)


def _rehearse(folder: Path, lanes: int, n_tasks: int, canary: int) -> str:
    """Start one detached process that sees to all tasks; it leads a process group of its own."""
    where = {"folder": shlex.quote(str(folder)), "stopped": STOPPED, "script": SCRIPT}
    text = _LANES.format(**where, lanes=lanes, n_tasks=n_tasks, canary=canary)
    write_file(folder / LANES, text.encode())
    with (folder / "logs" / "local.log").open("ab") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        pid = subprocess.Popen(["bash", str(folder / LANES)], **streams, start_new_session=True).pid  # type: ignore[call-overload]
    here = {"pid": pid, "host": platform.node()}
    listed = [("canary", task) for task in range(canary)] + [("runs", task) for task in range(n_tasks)]
    add_jobs(folder, *({"kind": kind, **here, "first_task": task, "n_tasks": 1} for kind, task in listed))
    return f"process {pid}"


_LANES = """\
#!/bin/bash
# The tasks of a launch one after the other in {lanes} lanes; SIGTERM ends all of them, with checkpoints.
cd {folder} || exit 1
trap "trap '' TERM; kill -TERM 0; wait; exit 143" TERM
task() {{ bash {script} "$1" "$2" 0 >>"logs/local_$3.log" 2>&1; }}
lane() {{
  local bad=0
  for ((i = $3; i < $2; i += {lanes})); do [ -e {stopped} ] || task "$1" "$i" "$4$i" || bad=1; done
  return $bad
}}
every() {{
  local bad=0 lanes=()
  for ((l = 0; l < {lanes}; l++)); do lane "$1" "$2" "$l" "$3" & lanes+=($!); done
  for pid in "${{lanes[@]}}"; do wait "$pid" || bad=1; done
  return $bad
}}
every canary {canary} canary- || exit 1
every runs {n_tasks} ""
"""
