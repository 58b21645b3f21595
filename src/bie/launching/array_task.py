"""One task of a launch, on whichever node: what submitit runs, warns and puts back into the queue.

The runs are handed out by a thread, so that the main one is free for signals. USR2, the warning that time or
node are taken away, is submitit's: it calls `ArrayTask.checkpoint`, which waits for the runs at work to leave
their checkpoints. Whoever started the task puts it back into the queue, by its exit code: Python may be in an
image, where no command of Slurm is.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import NoReturn

from submitit import JobEnvironment
from submitit.helpers import Checkpointable

from bie import devices
from bie.config import SubmititLocal, SubmititSlurm
from bie.execution.packs import Pack, Packing
from bie.execution.pool import Pool, WorkersCannotStart
from bie.execution.processes import single_threaded, warm_up
from bie.execution.progress import ending
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import launched, slurm
from bie.launching.resources import cpus, time_limit
from bie.planning.durations import Deadline, RunTimes
from bie.store.claims import STALE, living
from bie.store.launches import Exit, forget_end, note_end, stop, stopped

LOOK = 5.0
"""Seconds between looks at a claim that is waited for."""


class ArrayTask(Checkpointable):
    """What submitit pickles, calls on the node and asks for a checkpoint: the place of a task in a launch.

    Its `kind` is ``runs`` or ``canary``.
    """

    def __init__(self, folder: Path, kind: str, index: int) -> None:
        self.folder, self.kind, self.index = folder, kind, index

    @property
    def name(self) -> str:
        """Of its files in the folder of the launch."""
        return str(self.index) if self.kind == "runs" else f"{self.kind}-{self.index}"

    def __call__(self) -> int:
        """Carry out the task: 0, or it ends with one of `bie.store.launches`."""
        forget_end(self.folder, self.name)
        _remove_half_pickle()
        single_threaded()
        self._incarnation = Incarnation(self)
        self._thread = Thread(target=self._incarnation.carry_out)
        signal.signal(signal.SIGTERM, self._incarnation.terminate)  # submitit would pass it over
        self._thread.start()
        code = self._concluded()
        if code:
            sys.exit(code)
        return code

    def checkpoint(self) -> NoReturn:
        """Answer submitit's warning: stop with checkpoints, and end."""
        self._incarnation.warn()
        sys.exit(self._concluded())

    def _concluded(self) -> int:
        """Exit code, when the runs have ended; noted for those who cannot see it."""
        self._thread.join()
        code = self._incarnation.exit_code()
        note_end(self.folder, self.name, code)
        return code


def _remove_half_pickle() -> None:
    """Take away what an earlier incarnation, killed at its end, half wrote: submitit 1.5.4 would stumble."""
    half = JobEnvironment().paths.result_pickle
    with contextlib.suppress(OSError):
        half.with_suffix(f"{half.suffix}.save_tmp").unlink()


class Incarnation:
    """A task from its start, or a restart, to its end: which runs it does, and how it ends."""

    def __init__(self, task: ArrayTask) -> None:
        self.folder, self.kind, self.name = task.folder, task.kind, task.name
        self.settings = launched.settings_of_launch(self.folder)
        launcher = self.settings.hydra.launcher
        assert isinstance(launcher, SubmititLocal | SubmititSlurm)
        self.launcher = launcher
        choose = launched.runs_of if self.kind == "runs" else launched.canary_runs
        self.tasks = choose(self.folder, task.index)
        self.context = warm_up("many" if len(self.tasks) > 1 else "one")
        here = JobEnvironment()
        self.job = here.job_id if here.cluster == "slurm" else None  # else of submitit's local executor
        usable = 60.0 * time_limit(launcher, self.settings.site) - launcher.signal_delay_s
        left = self._seconds_left()
        self.deadline = Deadline(usable if left is None else left - launcher.signal_delay_s, usable)
        self.run_times = RunTimes(launched.expected_seconds(self.folder))
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
        launched.note(self.folder, self.name, outcome, spec)
        if outcome.status != "failed":
            return
        if self.kind == "canary":
            stops = stop(self.folder, f"the canary failed, {outcome.cause}: {outcome.message}")
        else:
            stops = launched.break_circuit(self.folder, self.launcher.max_identical_failures)
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
        noted = launched.read_events(self.folder, self.name)
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
        if self.terminated and self.job is None:  # of Slurm's tasks their shell asks it
            return Exit.TERMINATED
        if not self.progressed:
            launched.note(self.folder, self.name, Outcome("fruitless"))
            noted = launched.read_events(self.folder, self.name)
            if sum(each.status == "fruitless" for each in noted) > self.launcher.max_num_timeout:
                print(
                    "nothing got done again and again: is hydra.launcher.timeout_min too short?", flush=True
                )
                return Exit.TIMEOUT
        return Exit.REQUEUE

    # ---- what Slurm tells

    def _seconds_left(self) -> float | None:
        """Seconds to the limit; None where Slurm does not say."""
        if self.job is None:
            return None
        try:
            return slurm.seconds_left(self.job)
        except slurm.SlurmError as error:
            print(f"the time limit is taken to be that of the launch: {error}", flush=True)
            return None
