"""A task of a launch from its start, or a restart, to its end: which runs it does, and how it ends."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType

from submitit import JobEnvironment

from bie import devices
from bie.config import SubmititLocal, SubmititSlurm
from bie.execution.packs import Pack, Packing
from bie.execution.pool import Pool, WorkersCannotStart
from bie.execution.progress import ending
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import slurm
from bie.launching.events import break_circuit, note, read_events
from bie.launching.launched import canary_runs, expected_seconds, runs_of, settings_of_launch
from bie.launching.resources import cpus, time_limit
from bie.planning.durations import Deadline, RunTimes
from bie.store.claims import STALE, living
from bie.store.launches import Exit, stop, stopped

LOOK = 5.0
"""Seconds between looks at a claim that is waited for."""


def file_name(kind: str, index: int) -> str:
    """Of a task's files in the folder of the launch."""
    return str(index) if kind == "runs" else f"{kind}-{index}"


@dataclass(frozen=True)
class Place:
    """Where a task runs: as a job of Slurm, or of submitit's local executor."""

    job: str | None

    @classmethod
    def here(cls) -> "Place":
        """As submitit knows it."""
        environment = JobEnvironment()
        return cls(environment.job_id if environment.cluster == "slurm" else None)

    def seconds_left(self) -> float | None:
        """Seconds to the limit; None where Slurm does not say."""
        if self.job is None:
            return None
        try:
            return slurm.seconds_left(self.job)
        except slurm.SlurmError as error:
            print(f"no time limit known: {error}", flush=True)
            return None

    def may_requeue(self, terminated: bool) -> bool:
        """Whether the task is still wanted: Slurm runs it, rather than having cancelled or ended it."""
        if self.job is None:
            return not terminated
        try:
            return any(told.state == "RUNNING" for told in slurm.show_jobs([self.job]))
        except slurm.SlurmError as error:
            print(f"cannot ask Slurm: {error}", flush=True)
            return True


class Incarnation:
    """A task (`bie.launching.array_task.ArrayTask`) from its start, or a restart, to its end."""

    def __init__(self, folder: Path, kind: str, index: int, context: ForkServerContext) -> None:
        self.folder, self.kind, self.context = folder, kind, context
        self.name = file_name(kind, index)
        self.settings = settings_of_launch(folder)
        launcher = self.settings.hydra.launcher
        assert isinstance(launcher, SubmititLocal | SubmititSlurm)
        self.launcher = launcher
        choose = runs_of if self.kind == "runs" else canary_runs
        self.tasks = choose(folder, index)
        self.place = Place.here()
        usable = 60.0 * time_limit(launcher, self.settings.site) - launcher.signal_delay_s
        left = self.place.seconds_left()
        self.deadline = Deadline(usable if left is None else left - launcher.signal_delay_s, usable)
        self.run_times = RunTimes(expected_seconds(self.folder))
        self.outcomes = dict(self._earlier_failures())
        self.warned = self.terminated = self.started_any = self.progressed = False
        self.error: BaseException | None = None
        self._pool: Pool | None = None

    def carry_out(self) -> None:
        """Take the runs one after the other. What goes wrong is kept for `exit_code` to raise."""
        try:
            self._attend([t for t in self.tasks if t.folder not in self.outcomes and not t.is_done()])
            self._succeed_the_dead()
        except BaseException as error:
            self.error = error

    def warn(self) -> None:
        """Let the runs at work stop after their epoch, with checkpoints, and start no other."""
        self.warned = True
        if self._pool is not None:
            self._pool.interrupt()

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """Do the same at SIGTERM: of a task that is cancelled, or preempted without a warning."""
        self.terminated = True
        self.warn()

    def _attend(self, tasks: list[RunSpec]) -> None:
        if not tasks:
            return
        most = cpus(self.launcher, self.settings.site)
        packing = Packing.of(self.settings, tasks, min(most, len(tasks)), min(most, devices.cores()))
        self._pool = Pool(self.context, None, self.folder.name, packing)
        if self.warned:  # before there was a pool to interrupt
            self._pool.interrupt()
        try:
            self._pool.run(tasks, self, self._admit)
        except WorkersCannotStart as error:
            print(error, flush=True)

    def _admit(self, pack: Pack) -> bool:
        if stopped(self.folder) is not None:
            return False
        each = [self.run_times.expected(task.config_id, task.config) for task in pack]
        expected = None if None in each else sum(filter(None, each))
        return not self.started_any or self.deadline.admits(expected)

    # ---- what the pool tells

    def started(self, spec: RunSpec) -> None:
        """From now on a run must fit into what is left; the first was started in any case."""
        self.started_any = True

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """An epoch is progress: the checkpoint will hold it."""
        self.progressed = True

    def stopping(self) -> None:
        """Say why the log ends soon."""
        print("warned: stopping after this epoch, with checkpoints", flush=True)

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Note how a run ended, and stop the launch if too many ended so."""
        print(ending(spec, outcome), flush=True)
        self.outcomes[spec.folder] = outcome
        if outcome.status == "done":
            self.run_times.learn(spec.config_id, spec.config, outcome.seconds)
        self.progressed |= outcome.status in ("done", "failed")
        note(self.folder, self.name, outcome, spec)
        if outcome.status != "failed":
            return
        if self.kind == "canary":
            stops = stop(self.folder, f"the canary failed, {outcome.cause}: {outcome.message}")
        else:
            stops = break_circuit(self.folder, self.launcher.max_identical_failures)
        if stops:
            print(f"stopping the launch: {stopped(self.folder)}", flush=True)
            slurm.cancel_pending(self.folder)

    # ---- what comes after the runs

    def _succeed_the_dead(self) -> None:
        """Wait for claims of an earlier incarnation of this task, on a node that died, to run out."""
        timeout_s = time.monotonic() + 2 * STALE
        while (held := self._held()) and not self.warned and time.monotonic() < timeout_s:
            time.sleep(LOOK)
            self._attend([task for task in held if living(task.folder) is None])

    def _earlier_failures(self) -> Iterator[tuple[Path, Outcome]]:
        """Runs that failed in an earlier incarnation of this task: they are not tried for ever."""
        noted = read_events(self.folder, self.name)
        failed = {(each.config_id, each.seed): each for each in noted if each.status == "failed"}
        for task in self.tasks:
            if each := failed.get((task.config_id, task.config.seed)):
                yield task.folder, each

    def _held(self) -> list[RunSpec]:
        mine = (task for task in self.tasks if self._status(task) == "elsewhere" and not task.is_done())
        claims = ((task, living(task.folder)) for task in mine)
        return [task for task, claim in claims if claim is None or claim["launch"] == self.folder.name]

    def _status(self, task: RunSpec) -> str | None:
        return self.outcomes[task.folder].status if task.folder in self.outcomes else None

    def exit_code(self) -> int:
        """How the task ends: 0 or one of `bie.store.launches`; raises what ended it before its time."""
        if self.error is not None:
            raise self.error
        over = ("failed", "elsewhere", "decided")
        left = [task for task in self.tasks if self._status(task) not in over and not task.is_done()]
        causes = {outcome.cause for outcome in self.outcomes.values() if outcome.status == "failed"}
        if not left or stopped(self.folder):
            return Exit.DISK if "disk" in causes else Exit.FAILED if causes or left else 0
        print(f"{len(left)} of {len(self.tasks)} runs left", flush=True)
        if not self.place.may_requeue(self.terminated):
            return Exit.TERMINATED
        if not self.progressed:
            note(self.folder, self.name, Outcome("fruitless"))
            fruitless = [each for each in read_events(self.folder, self.name) if each.status == "fruitless"]
            if len(fruitless) > self.launcher.max_num_timeout:
                print(
                    "nothing got done again and again: is hydra.launcher.timeout_min too short?", flush=True
                )
                return Exit.TIMEOUT
        return Exit.REQUEUE
