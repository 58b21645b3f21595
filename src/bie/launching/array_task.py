"""One task of a launch, on whichever node: what submitit runs, warns and puts back into the queue.

The runs are handed out by a thread, so that the main one is free for signals. USR2, the warning that time or
node are taken away, is submitit's: it calls `ArrayTask.checkpoint`, which waits for the runs at work to leave
their checkpoints.
"""

import contextlib
import signal
import sys
from pathlib import Path
from threading import Thread

from submitit import JobEnvironment
from submitit.helpers import Checkpointable, DelayedSubmission

from bie.execution.processes import single_threaded, warm_up
from bie.launching.incarnation import Incarnation, file_name
from bie.store.launches import Exit, forget_end, note_end


class ArrayTask(Checkpointable):
    """What submitit pickles, calls on the node and asks for a checkpoint: the place of a task in a launch.

    Its `kind` is ``runs`` or ``canary``.
    """

    def __init__(self, folder: Path, kind: str, index: int) -> None:
        self.folder, self.kind, self.index = folder, kind, index

    @property
    def name(self) -> str:
        """Of its files in the folder of the launch."""
        return file_name(self.kind, self.index)

    def __call__(self) -> int:
        """Carry out the task: 0, or it ends with one of `bie.store.launches`."""
        forget_end(self.folder, self.name)
        _remove_half_pickles()
        single_threaded()
        self._incarnation = Incarnation(self.folder, self.kind, self.index, warm_up())
        self._thread = Thread(target=self._incarnation.carry_out)
        signal.signal(signal.SIGTERM, self._incarnation.terminate)  # submitit would pass it over
        self._thread.start()
        code = self._concluded()
        if code == Exit.REQUEUE:  # without a warning: what is left would not fit
            signal.raise_signal(signal.SIGUSR2)
        if code:
            sys.exit(code)
        return code

    def checkpoint(self) -> DelayedSubmission:
        """Answer submitit's warning: stop with checkpoints. What is returned goes back into the queue."""
        self._incarnation.warn()
        code = self._concluded()
        if code != Exit.REQUEUE:
            sys.exit(code)
        print(f"=== task {self.name} goes back into the queue", flush=True)
        return DelayedSubmission(ArrayTask(self.folder, self.kind, self.index))

    def _concluded(self) -> int:
        """Exit code, when the runs have ended; noted for those who cannot see it."""
        self._thread.join()
        code = self._incarnation.exit_code()
        note_end(self.folder, self.name, code)
        return code


def _remove_half_pickles() -> None:
    """Take away what was half written when an earlier incarnation was killed.

    submitit 1.5.4 would stumble over it, rather than put the task back into the queue.
    """
    paths = JobEnvironment().paths
    for path in (paths.submitted_pickle, paths.result_pickle):
        with contextlib.suppress(OSError):
            path.with_suffix(f"{path.suffix}.save_tmp").unlink()
