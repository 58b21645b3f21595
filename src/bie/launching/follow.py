"""Watch a launch that runs elsewhere, with the display of one that runs here."""

import time
from collections import Counter
from pathlib import Path

from bie.execution.pool_protocol import Observer
from bie.execution.progress import Scoreboard, display
from bie.execution.run_spec import RunSpec
from bie.launching import slurm
from bie.launching.events import FOLDER, read_events
from bie.launching.launched import runs_of
from bie.store.claims import CLAIM
from bie.store.launches import JOBS, jobs
from bie.store.owner import is_ours

LOOK, ASK = 2.0, 15.0
"""Seconds between looks at the events, which are files, and between questions to Slurm."""


def follow(folder: Path, n_workers: int) -> Scoreboard:
    """Show how a launch gets on until none of its tasks waits or runs; the board says how it went."""
    tasks = runs_of(folder)
    board = Scoreboard(Counter(task.config.model.name for task in tasks), min(n_workers, len(tasks)))
    news = News(folder, tasks)
    with display(board) as observer:
        asked, alive = time.monotonic(), True
        while alive and board.over < board.total:
            time.sleep(LOOK)
            if time.monotonic() - asked > ASK:
                news.tell_started(observer)
                asked, alive = time.monotonic(), going(folder)
            news.tell(observer)  # also once after the last task has gone
        while going(folder):  # the last tasks tidy up
            time.sleep(LOOK)
    return board


class News:
    """Tells an observer of events what a pool would have told it."""

    def __init__(self, folder: Path, tasks: list[RunSpec]) -> None:
        self._folder = folder
        self._tasks = {(task.config_id, task.config.seed): task for task in tasks}
        self._read: dict[Path, int] = {}
        self._slots: dict[tuple[str, int], int] = {}

    def tell_started(self, observer: Observer) -> None:
        """Tell which runs somebody has claimed."""
        for key, task in self._tasks.items():
            if key not in self._slots and (task.folder / CLAIM).exists():
                self._start(observer, key, task)

    def _start(self, observer: Observer, key: tuple[str, int], task: RunSpec) -> None:
        self._slots[key] = len(self._slots)
        observer.started(self._slots[key], task)

    def tell(self, observer: Observer) -> None:
        """Tell what happened since the last time. A run that ended counts once."""
        for path in sorted((self._folder / FOLDER).glob("[0-9]*.jsonl")):
            found, self._read[path] = read_events(path, self._read.get(path, 0))
            for each in found:
                over = each.status in ("done", "failed", "before", "elsewhere", "decided")
                key = (each.config_id, each.seed)
                task = self._tasks.pop(key, None) if over else None
                if task is not None:
                    if key not in self._slots:
                        self._start(observer, key, task)
                    observer.ended(self._slots[key], task, each)


def going(folder: Path) -> bool:
    """Whether any task of a launch waits or runs. No answer from Slurm means nothing: then it may well."""
    listed = jobs(folder)
    arrays = [job["job_id"] for job in listed if "job_id" in job]
    try:
        if arrays and slurm.queue(arrays):
            return True
    except slurm.SlurmError:
        return True
    pids = {(job["pid"], job["host"]) for job in listed if "pid" in job}
    return any(is_ours(pid, host, (folder / JOBS).stat().st_mtime, folder.name) for pid, host in pids)
