"""The launches of a study as their folders show them."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bie.errors import BadInput
from bie.launching.slurm import Key, cause_of_exit
from bie.store.launches import (
    CANARY,
    JOBS,
    LAUNCH,
    PLAN,
    POINTS,
    Exit,
    jobs,
    launch_folders,
    noted_end,
    stopped,
)
from bie.store.owner import Process
from bie.store.paths import Tree
from bie.store.record import read

SLURM = "submitit_slurm"
END = 4096  # bytes of a log that tell how its task ended


@dataclass(frozen=True)
class Launch:
    """One launch as its folder shows it; read once, as it was then."""

    folder: Path
    about: dict[str, Any]  # ``launch.json``; empty where it is damaged
    since: float  # when it was made, by the clock of the file server (seconds since the epoch)
    jobs: tuple[dict[str, Any], ...]  # ``jobs.json``: arrays of Slurm or processes, with their tasks

    @property
    def id(self) -> str:
        """Name of the launch."""
        return self.folder.name

    @property
    def launcher(self) -> str:
        """Name of the choice of ``hydra/launcher``."""
        return str(self.about.get("launcher", "local"))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it was made with, as plain values.

        Raises
        ------
        BadInput
            ``launch.json`` is damaged.
        """
        if "settings" not in self.about:
            raise BadInput(f"{self.folder / LAUNCH} cannot be read. Run the study's own command again")
        return dict(self.about["settings"])

    @property
    def arrays(self) -> list[str]:
        """Ids of its arrays in Slurm."""
        return [str(job["job_id"]) for job in self.jobs if "job_id" in job]

    @functools.cached_property
    def stopped(self) -> str:
        """Why the launch stopped itself, or ended with its canary; empty where neither is so."""
        return stopped(self.folder) or self._end_of_canary()

    @functools.cached_property
    def points(self) -> dict[str, dict[str, Any]]:
        """``points.json``: what a run of each grid point is; empty where it is damaged."""
        return read(self.folder / POINTS) or {}

    def key_of(self, task: int) -> Key | None:
        """The task as Slurm knows it."""
        job = self._job_of(task)
        return (str(job["job_id"]), task - job["first_task"]) if job and "job_id" in job else None

    def name_of(self, task: int) -> str:
        """The task as Slurm writes it: ``81233_4``, or ``81233`` where it is the only one of its job."""
        job = self._job_of(task)
        return _name(job, task - job["first_task"]) if job and "job_id" in job else str(task)

    def log_of(self, task: int) -> Path | None:
        """The log of a task; None where workers share their logs."""
        job = self._job_of(task)
        log = job and _log(job, task - job["first_task"])
        return log or (self.folder / "logs" / f"local_{task}.log" if self.jobs else None)

    def logs_of(self, task: int) -> list[Path]:
        """The log of a task and, with ``stderr_to_stdout=false``, that of its errors; those that exist."""
        log = self.log_of(task)
        paths = [log, log.resolve().with_suffix(".err")] if log else []  # of a link, beside its target
        return [path for path in paths if path.is_file()]

    def met_memory_limit(self, task: int) -> bool:
        """Whether Slurm wrote into a log of the task that it killed it for its memory."""
        ends = b"".join(map(_last_bytes, self.logs_of(task)))
        return any(words in ends for words in (b"exceeded memory limit", b"oom-kill", b"oom_kill"))

    @property
    def logs(self) -> list[Path]:
        """Logs of all its workers and tasks, as far as they lie in its folder."""
        return sorted([*self.folder.glob("logs/*.log"), *self.folder.glob("submitit/*_log.out")])

    def exit_code(self, task: int) -> int | None:
        """Exit code that the task left behind when it last ended, rather than went back into the queue."""
        code = noted_end(self.folder, str(task))
        return None if code == Exit.REQUEUE else code

    def process_of(self, task: int) -> Process | None:
        """The local process that works through a task: without jobs, that of the launch itself."""
        job = self._job_of(task)
        if job is None:
            return None if self.jobs else self._process(self.about, LAUNCH)
        return self._process(job, JOBS)

    @property
    def processes(self) -> list[Process]:
        """The processes that work, or hand out work, for a launch on one machine."""
        if self.launcher == SLURM:  # the process that made the launch ended when it had submitted the jobs
            return []
        noted = [self._process(self.about, LAUNCH), *(self._process(job, JOBS) for job in self.jobs)]
        return list(dict.fromkeys(process for process in noted if process))

    def _end_of_canary(self) -> str:
        """How a task of the canary was ended from outside, after which Slurm cancels what waits for it."""
        for job in (job for job in self.jobs if job.get("kind") == CANARY):
            for index in range(job["n_tasks"]):
                task = f"{CANARY}-{job['first_task'] + index}"
                code = noted_end(self.folder, task)
                if code not in (None, 0, Exit.REQUEUE, Exit.TERMINATED):
                    log = _log(job, index) or self.folder / "logs" / f"local_{task}.log"
                    return f"the canary ended ({cause_of_exit(code)}); its log: {log}"
        return ""

    def _job_of(self, task: int) -> dict[str, Any] | None:
        runs = (job for job in self.jobs if job.get("kind") == "runs")
        return next((job for job in runs if 0 <= task - job["first_task"] < job["n_tasks"]), None)

    def _process(self, noted: dict[str, Any], name: str) -> Process | None:
        if "pid" not in noted:
            return None
        when = (self.folder / name).stat().st_mtime
        return Process(int(noted["pid"]), str(noted["host"]), when, self.id)


def _name(job: dict[str, Any], index: int) -> str:
    return str(job["job_id"]) if job["n_tasks"] == 1 else f"{job['job_id']}_{index}"


def _log(job: dict[str, Any], index: int) -> Path | None:
    """The log of a task of a job of Slurm; None where it is another's."""
    return Path(_filled(str(job["log"]), _name(job, index))) if "job_id" in job else None


def _last_bytes(log: Path) -> bytes:
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - END, 0))
        return file.read()


def _filled(template: str, job: str) -> str:
    """Name of a log as submitit makes it of ``%j`` and the like; a task has one process, number 0.

    >>> _filled("logs/%j_%t_log.out", "81233_4"), _filled("%A/%a.out", "81233_4")
    ('logs/81233_4_0_log.out', '81233/4.out')
    """
    array, _, index = job.partition("_")
    for mark, value in (("%j", job), ("%t", "0"), ("%A", array), ("%a", index)):
        template = template.replace(mark, value)
    return template


def read_launches(tree: Tree) -> list[Launch]:
    """All launches of a study, in the order in which they were made."""
    return [
        Launch(folder, read(folder / LAUNCH) or {}, (folder / PLAN).stat().st_mtime, tuple(jobs(folder)))
        for folder in launch_folders(tree)
    ]
