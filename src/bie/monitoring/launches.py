"""The launches of a study as their folders show them, and the runs that they asked for."""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bie.errors import BadInput
from bie.launching.slurm import Key
from bie.store.identity import SHOWN
from bie.store.launches import (
    BEFORE,
    CANARY,
    JOBS,
    LAUNCH,
    PLAN,
    POINTS,
    Exit,
    jobs,
    launch_folders,
    noted_end,
    planned_tasks,
    stopped,
)
from bie.store.owner import Process
from bie.store.paths import Tree, find_tree, seed_name
from bie.store.record import FAILED, read

SLURM = "submitit_slurm"
MOST = 10  # candidates that are listed
_FOLDER = re.compile(r"(?P<config>[0-9a-f]{4,64})(?:/seed=(?P<seed>\d+))?(?:/[\w.]+)?/*$")
_RUN = ("dataset", "model", "config_id", "seed", "run_id")

TaskId = tuple[str, int]
"""Id of its launch, index."""


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
        """Why the launch stopped itself; empty where it did not."""
        return stopped(self.folder) or ""

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
        key, job = self.key_of(task), self._job_of(task)
        if key is None or job is None:
            return str(task)
        return key[0] if job["n_tasks"] == 1 else f"{key[0]}_{key[1]}"

    def log_of(self, task: int) -> Path | None:
        """The log of a task; None where workers share their logs."""
        job = self._job_of(task)
        if job and "job_id" in job:
            return Path(_filled(str(job["log"]), self.name_of(task)))
        return self.folder / "logs" / f"local_{task}.log" if self.jobs else None

    def logs_of(self, task: int) -> list[Path]:
        """The log of a task and, with ``stderr_to_stdout=false``, that of its errors; those that exist."""
        log = self.log_of(task)
        paths = [log, log.resolve().with_suffix(".err")] if log else []  # of a link, beside its target
        return [path for path in paths if path.is_file()]

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

    def _job_of(self, task: int) -> dict[str, Any] | None:
        runs = (job for job in self.jobs if job.get("kind") == "runs")
        return next((job for job in runs if 0 <= task - job["first_task"] < job["n_tasks"]), None)

    def _process(self, noted: dict[str, Any], name: str) -> Process | None:
        if "pid" not in noted:
            return None
        when = (self.folder / name).stat().st_mtime
        return Process(int(noted["pid"]), str(noted["host"]), when, self.id)


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


@dataclass(slots=True)
class Run:
    """A run that was asked for, and what has become of it (`bie.monitoring.study_status`)."""

    launch: Launch  # the last that had it to do
    task: int  # of that launch; `BEFORE` where none had it to do
    dataset: str
    model: str
    config_id: str
    seed: int
    run_id: str
    state: str = "missing"  # or done, running, queued, failed
    cause: str = ""
    message: str = ""
    failed_at: float = 0.0  # by the clock of the file server

    @property
    def task_id(self) -> TaskId:
        """Its task, among those of all launches."""
        return self.launch.id, self.task

    def folder(self, tree: Tree) -> Path:
        """The run's own folder."""
        return tree.run_dir(self.dataset, self.model, self.config_id, self.seed)

    @property
    def failed_canary(self) -> Path | None:
        """Folder of the run that its launch sent ahead for its grid point and that failed, if any."""
        seeds = self.launch.folder / CANARY / self.config_id[:SHOWN]
        return next((path.parent for path in seeds.glob(f"*/{FAILED}")), None)

    @property
    def place(self) -> str:
        """The end of its folder's name, by which logs know it."""
        return "/".join((self.dataset, self.model, self.config_id[:SHOWN], seed_name(self.seed)))


def planned_runs(launches: Sequence[Launch]) -> list[Run]:
    """Every run that any of the launches asked for, once, in the order in which it was first asked for."""
    runs: dict[str, Run] = {}
    for launch in launches:
        for *named, task in planned_tasks(launch.folder, _RUN):
            run = runs.get(named[-1])
            if run is None:
                runs[named[-1]] = Run(launch, task, *named)
            elif task != BEFORE:
                run.launch, run.task = launch, task
    return list(runs.values())


def find_run(text: str, outputs: Path) -> tuple[Tree, Run]:
    """The run with an id, or a unique beginning of one, or the folder of the run.

    The studies are searched from the newest to the oldest; the first that knows such a run counts.

    Raises
    ------
    BadInput
        There is no such run, or there are several.
    """
    for tree in _trees(text, outputs):
        runs = planned_runs(read_launches(tree))
        found = _by_folder(text, runs) if "/" in text else [r for r in runs if r.run_id.startswith(text)]
        if len(found) == 1:
            return tree, found[0]
        if found:
            raise BadInput(f"{text} means {len(found):,} runs of {tree.root}:\n{_listed(found)}")
    if "/" in text and Path(text).exists():
        if _FOLDER.search(text):
            raise BadInput(
                f"{text}: no launch of its study asked for this run (it was imported, or launches/ is gone), "
                "so that it has no log and cannot be done again. Its numbers: bie aggregate"
            )
        raise BadInput(
            f"{text} is no folder of a run, which is runs/DATASET/MODEL/CONFIG/seed=0000 in a study. "
            f"What failed in a study: bie logs --failed {text}"
        )
    raise BadInput(
        f"{text}: no run of a study in {outputs}/ has an id that begins so. bie status lists them; what was "
        "imported (bie aggregate --import) has no log"
    )


def _trees(text: str, outputs: Path) -> Iterator[Tree]:
    """The study that a path lies in; else all of them, the newest first."""
    inside = [parent for parent in Path(text).absolute().parents if (parent / "launches").is_dir()]
    if inside:
        yield Tree(inside[0])
        return
    newest = find_tree(None, outputs)
    yield newest
    others = sorted(outputs.glob("*/*/launches"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    yield from (Tree(path.parent) for path in others if path.parent != newest.root)


def _by_folder(text: str, runs: list[Run]) -> list[Run]:
    named = _FOLDER.search(text)
    if named is None:
        return []
    config, seed = named["config"][:SHOWN], named["seed"]
    return [
        run for run in runs if run.config_id.startswith(config) and (seed is None or run.seed == int(seed))
    ]


def _listed(runs: list[Run]) -> str:
    lines = [f"  {run.run_id[:SHOWN]}  {run.place}" for run in runs[:MOST]]
    more = [f"  and {len(runs) - MOST:,} more"] if len(runs) > MOST else []
    return "\n".join([*lines, *more])
