"""``python -m bie.launching.job LAUNCH KIND TASK``: carry out one task of a launch, on whichever node.

It is started by the launch's batch script (see `bie.launching.script`), never by hand. USR2 is the warning
that time is short: the runs at work leave checkpoints and the task goes back into the queue.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType

from bie import devices
from bie.config import Settings, SubmititLocal, SubmititSlurm
from bie.execution.local import Pool, WorkersCannotStart
from bie.execution.pace import Deadline, Pace
from bie.execution.packs import Pack, Packing
from bie.execution.progress import ending
from bie.execution.server import single_threaded, warm_up
from bie.execution.task import Outcome, Task
from bie.launching import slurm
from bie.launching.canary import canary_tasks
from bie.launching.journal import FOLDER, Entry, entries, entry, note, trip
from bie.launching.launched import expected_seconds, tasks_of
from bie.launching.script import AGAIN, cpus, time_limit
from bie.launching.submit import cancel_pending
from bie.schema import validated
from bie.store.claims import STALE, living
from bie.store.launches import LAUNCH, stop, stopped
from bie.store.record import read

FAILED, DISK, TIMEOUT, TERMINATED = 1, 73, 124, 143
"""Exit codes: some runs failed; a disk was full, so that no ``failed.json`` may tell it; the time was over
again and again without any progress; cancelled."""

LOOK = 5.0
"""Seconds between looks at a claim that is waited for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a task; the exit code is 0, `FAILED`, `DISK`, `TIMEOUT`, `TERMINATED` or `AGAIN`."""
    folder, kind, index = sys.argv[1:] if argv is None else argv
    single_threaded()
    return Job(Path(folder), kind, int(index), warm_up()).carry_out()


@dataclass(frozen=True)
class Place:
    """Where a task runs: as a task of a Slurm array, or as a process of a rehearsal."""

    job: str | None

    @classmethod
    def here(cls) -> "Place":
        """As the environment tells."""
        array, index = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
        return cls(f"{array}_{index}" if array and index else None)

    def seconds_left(self) -> float | None:
        """Seconds to the limit; None where Slurm does not say."""
        if self.job is None:
            return None
        try:
            return slurm.seconds_left(self.job)
        except slurm.SlurmError as error:
            print(f"no time limit known: {error}", flush=True)
            return None

    def may_requeue(self) -> bool:
        """Whether the task is still wanted: Slurm runs it, rather than having cancelled or ended it."""
        if self.job is None:
            return True
        try:
            return any(job.get("JobState") == "RUNNING" for job in slurm.show_jobs(self.job))
        except slurm.SlurmError as error:
            print(f"cannot ask Slurm: {error}", flush=True)
            return True


class Job:
    """One incarnation of a task.

    Parameters
    ----------
    folder
        Of the launch.
    kind
        ``runs`` or ``canary``.
    index
        Of the task.
    context
        From `bie.execution.server.warm_up`.
    """

    def __init__(self, folder: Path, kind: str, index: int, context: ForkServerContext) -> None:
        self.folder, self.kind, self.context = folder, kind, context
        self.settings = validated(Settings, (read(folder / LAUNCH) or {})["settings"])
        launcher = self.settings.hydra.launcher
        assert isinstance(launcher, SubmititLocal | SubmititSlurm)
        self.launcher = launcher
        self.name = str(index) if kind == "runs" else f"{kind}-{index}"
        self.tasks = tasks_of(folder, index) if kind == "runs" else canary_tasks(folder, index)
        self.place = Place.here()
        usable = 60.0 * time_limit(launcher, self.settings.site) - launcher.signal_delay_s
        left = self.place.seconds_left()
        self.deadline = Deadline(usable if left is None else left - launcher.signal_delay_s, usable)
        self.pace = Pace(expected_seconds(folder))
        self.outcomes = dict(self._earlier_failures())
        self.warned = self.started_any = self.progressed = False
        self._pool: Pool | None = None

    def carry_out(self) -> int:
        """Take the runs one after the other; see `main` for what is returned."""
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, self._warn)
        if self.place.job is None:
            self._alarm()
        self._attend([task for task in self.tasks if task.folder not in self.outcomes and not task.is_done()])
        self._succeed_the_dead()
        return self._conclude()

    def _alarm(self) -> None:
        """Warn ourselves, where no Slurm does."""
        usable = 60.0 * time_limit(self.launcher, self.settings.site) - self.launcher.signal_delay_s
        signal.setitimer(signal.ITIMER_REAL, max(usable, 1.0))

    def _warn(self, number: int, frame: FrameType | None) -> None:
        self.warned = True
        if self._pool is not None:
            self._pool.interrupt()

    def _attend(self, tasks: list[Task]) -> None:
        if not tasks:
            return
        most = cpus(self.launcher, self.settings.site)
        packing = Packing.of(self.settings, tasks, min(most, len(tasks)), min(most, devices.cores()))
        self._pool = Pool(self.context, packing.n_workers, None, self.folder.name, packing)
        if self.warned:  # before there was a pool to interrupt
            self._pool.interrupt()
        try:
            self._pool.run(tasks, self, self._admit)
        except WorkersCannotStart as error:
            print(error, flush=True)

    def _admit(self, pack: Pack) -> bool:
        if stopped(self.folder) is not None:
            return False
        known = [seconds for task in pack if (seconds := self.pace.expected(task)) is not None]
        expected = sum(known) if len(known) == len(pack) else None
        return not self.started_any or self.deadline.admits(expected)

    # ---- what the pool tells

    def started(self, slot: int, task: Task) -> None:
        """From now on a run must fit into what is left; the first was started in any case."""
        self.started_any = True

    def epoch(self, slot: int, epoch: int) -> None:
        """An epoch is progress: the checkpoint will hold it."""
        self.progressed = True

    def stopping(self) -> None:
        """Say why the log ends soon."""
        print("warned: stopping after this epoch, with checkpoints", flush=True)

    def ended(self, slot: int, task: Task, outcome: Outcome) -> None:
        """Note how a run ended, and stop the launch if too many ended so."""
        print(ending(task, outcome), flush=True)
        self.outcomes[task.folder] = outcome
        self.pace.learn(task, outcome)
        self.progressed |= outcome.status in ("done", "failed")
        note(self.folder, self.name, entry(task, outcome))
        if outcome.status != "failed":
            return
        tripped = self.kind == "runs" and trip(self.folder, self.launcher.max_identical_failures)
        if tripped or (
            self.kind == "canary"
            and stop(self.folder, f"the canary failed, {outcome.cause}: {outcome.message}")
        ):
            print(f"stopping the launch: {stopped(self.folder)}", flush=True)
            cancel_pending(self.folder)

    # ---- what comes after the runs

    def _succeed_the_dead(self) -> None:
        """Wait for claims of an earlier incarnation of this task, on a node that died, to run out."""
        patience = time.monotonic() + 2 * STALE
        while (held := self._held()) and not self.warned and time.monotonic() < patience:
            time.sleep(LOOK)
            self._attend([task for task in held if living(task.folder) is None])

    def _earlier_failures(self) -> Iterator[tuple[Path, Outcome]]:
        """Runs that failed in an earlier incarnation of this task: they are not tried for ever."""
        found, _ = entries(self.folder / FOLDER / f"{self.name}.jsonl")
        failed = {(each.config_id, each.seed): each for each in found if each.status == "failed"}
        for task in self.tasks:
            if each := failed.get((task.config_id, task.config.seed)):
                yield task.folder, Outcome("failed", each.cause, each.message)

    def _held(self) -> list[Task]:
        mine = (task for task in self.tasks if self._status(task) == "elsewhere" and not task.is_done())
        claims = ((task, living(task.folder)) for task in mine)
        return [task for task, claim in claims if claim is None or claim["launch"] == self.folder.name]

    def _status(self, task: Task) -> str | None:
        return self.outcomes[task.folder].status if task.folder in self.outcomes else None

    def _conclude(self) -> int:
        """Exit code of the task."""
        over = ("failed", "elsewhere")
        left = [task for task in self.tasks if self._status(task) not in over and not task.is_done()]
        causes = {outcome.cause for outcome in self.outcomes.values() if outcome.status == "failed"}
        if not left or stopped(self.folder):
            return DISK if "disk" in causes else FAILED if causes or left else 0
        print(f"{len(left)} of {len(self.tasks)} runs left", flush=True)
        if not self.place.may_requeue():
            return TERMINATED
        if not self.progressed:
            note(self.folder, self.name, Entry("fruitless"))
            if self._fruitless() > self.launcher.max_num_timeout:
                print(
                    "nothing got done again and again: is hydra.launcher.timeout_min too short?", flush=True
                )
                return TIMEOUT
        return AGAIN

    def _fruitless(self) -> int:
        found, _ = entries(self.folder / FOLDER / f"{self.name}.jsonl")
        return sum(each.status == "fruitless" for each in found)


if __name__ == "__main__":
    sys.exit(main())
