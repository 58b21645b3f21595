"""``python -m bie.launching.local_queue LAUNCH``: the tasks of a launch through submitit's local executor.

submitit 1.5.4 starts all local jobs at once and restarts each six times at most. Here they wait for their
turn in a process of its own, which outlives the command that started it; a task that is not through is
submitted again. SIGTERM ends all of them, with checkpoints.
"""

import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import submitit

from bie import devices
from bie.config import Settings, SubmititLocal
from bie.execution.processes import single_threaded
from bie.launching.array_task import ArrayTask
from bie.launching.launched import n_canary_tasks, settings_of_launch
from bie.launching.resources import submitit_folder, tasks_at_a_time, time_limit
from bie.launching.submit import NEVER
from bie.store.launches import (
    POINTS,
    SOURCE,
    Exit,
    add_jobs,
    note_end,
    noted_end,
    planned_tasks,
    stopped,
)
from bie.store.record import read

LOOK = 0.2
"""Seconds between looks at the jobs."""


def start(folder: Path, settings: Settings, n_tasks: int, n_points: int) -> str:
    """Start a process that sees to all tasks; it leads a process group of its own. What it is called."""
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititLocal)
    frozen = Path(tempfile.mkdtemp(prefix="bie-"))
    with zipfile.ZipFile(folder / SOURCE) as archive:
        archive.extractall(frozen)
    pid = _spawn(
        [launcher.python or sys.executable, "-m", __spec__.name, str(folder), str(frozen)],
        {"PYTHONPATH": str(frozen / "src"), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        folder / "logs" / "local.log",
    )
    here = {"pid": pid, "host": platform.node(), "log": str(submitit_folder(launcher, folder))}
    canary = n_canary_tasks(n_points) if launcher.canary else 0
    listed = [("canary", task) for task in range(canary)] + [("runs", task) for task in range(n_tasks)]
    add_jobs(folder, *({"kind": kind, **here, "first_task": task, "n_tasks": 1} for kind, task in listed))
    return f"process {pid}"


def _spawn(command: list[str], variables: Mapping[str, str], log: Path) -> int:
    """Start a process that nobody waits for, in a session of its own; its number."""
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    environment = {**os.environ, **variables}
    return os.posix_spawnp(command[0], command, environment, file_actions=streams, setsid=True)


def main(argv: Sequence[str] | None = None) -> int:
    """See to all tasks of a launch; `argv`: its folder, and that of the frozen source, removed at the end."""
    folder, frozen = map(Path, sys.argv[1:] if argv is None else argv)
    single_threaded()
    try:
        return LocalQueue(folder).run()
    finally:
        shutil.rmtree(frozen, ignore_errors=True)


class LocalQueue:
    """The tasks of a launch that wait, and those at work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settings = settings_of_launch(folder)
        assert isinstance(settings.hydra.launcher, SubmititLocal)
        self._canary, self._at_a_time = settings.hydra.launcher.canary, tasks_at_a_time(settings) or 1
        self._executor = _executor(folder, settings, settings.hydra.launcher)
        self._cancelled = False

    def run(self) -> int:
        """All tasks in their order, the canary's before the others; 0 if all ended well."""
        signal.signal(signal.SIGTERM, self._cancel)
        n_tasks = 1 + max((task for _, _, task in planned_tasks(self._folder)), default=-1)
        canary = n_canary_tasks(len(read(self._folder / POINTS) or {})) if self._canary else 0
        for kind, n in (("canary", canary), ("runs", n_tasks)):
            if not self._run_all(ArrayTask(self._folder, kind, i) for i in range(n)):
                return 1
        return 0

    def _cancel(self, number: int, frame: FrameType | None) -> None:
        """Tell everybody: the controllers of submitit hand it on to the tasks."""
        if not self._cancelled:
            self._cancelled = True
            os.killpg(0, signal.SIGTERM)

    def _run_all(self, tasks: Iterable[ArrayTask]) -> bool:
        """Run tasks in their order, some at a time; whether all have been run and ended well."""
        waiting, busy, good = deque(tasks), dict[submitit.Job[int], ArrayTask](), True
        while busy or (waiting and not self._over()):
            while waiting and len(busy) < self._at_a_time and not self._over():
                task = waiting.popleft()
                busy[self._submit(task)] = task
            time.sleep(LOOK)
            for job in [job for job in busy if job.done()]:
                code = self._end_of(task := busy.pop(job))
                if code == Exit.REQUEUE:
                    waiting.appendleft(task)
                good &= code in (0, Exit.REQUEUE)
        return good and not waiting

    def _end_of(self, task: ArrayTask) -> int:
        """Exit code of a task; noted here where its process was killed."""
        code = noted_end(self._folder, task.name)
        if code is None:
            code = Exit.TERMINATED if self._cancelled else Exit.KILLED
            note_end(self._folder, task.name, code)
        return code

    def _over(self) -> bool:
        return self._cancelled or stopped(self._folder) is not None

    def _submit(self, task: ArrayTask) -> "submitit.Job[int]":
        """Start a job; its log is found under the number of the task."""
        job = self._executor.submit(task)
        link = self._folder / "logs" / f"local_{task.name}.log"
        link.unlink(missing_ok=True)
        link.symlink_to(job.paths.stdout)
        return job


def _executor(folder: Path, settings: Settings, launcher: SubmititLocal) -> submitit.LocalExecutor:
    executor = submitit.LocalExecutor(submitit_folder(launcher, folder), max_num_timeout=NEVER)
    executor.update_parameters(
        timeout_min=time_limit(launcher, settings.site),
        signal_delay_s=launcher.signal_delay_s,
        gpus_per_node=_gpus(settings, launcher),
        stderr_to_stdout=launcher.stderr_to_stdout,
        setup=launcher.setup or [],
    )
    return executor


def _gpus(settings: Settings, launcher: SubmititLocal) -> int:
    """GPUs that a task sees: submitit hides the others."""
    if launcher.gpus_per_node is not None:
        return int(launcher.gpus_per_node)
    return 0 if settings.device == "cpu" else devices.gpus()


if __name__ == "__main__":
    sys.exit(main())
