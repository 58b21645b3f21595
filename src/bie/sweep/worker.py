"""Carry out one task: run the experiment and leave a record, or the reason why there is none."""

import csv
import errno
import io
import resource
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from bie.data.cells import Cells
from bie.data.shelf import unshelve
from bie.errors import RunFailed
from bie.experiment import Result, experiment
from bie.store.claims import Owner, take
from bie.store.provenance import provenance
from bie.store.record import HISTORY, write_record
from bie.sweep.checkpoints import Checkpoints, Interrupted, TakenOver
from bie.sweep.task import Outcome, Task, leave_failure

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def execute(
    task: Task,
    on_epoch: Callable[[dict[str, float]], None],
    stop: Callable[[], bool] = lambda: False,
    launch: str | None = None,
) -> Outcome:
    """Run one task, unless it is done or somebody else is at it. Whatever goes wrong stays in it.

    Parameters
    ----------
    task
        What to run. A checkpoint in its folder is continued.
    on_epoch
        Called with each row of the history as it is made.
    stop
        Asked after each epoch; where it says True the run leaves a checkpoint and ends as ``interrupted``.
    launch
        Id of the launch, for the claim.
    """
    torch.set_num_threads(1)
    if task.is_done():
        return Outcome("before")
    try:
        claim = take(task.folder, Owner.here(launch))
    except OSError as error:
        return _failed(task, error)
    if claim is None:
        return Outcome("elsewhere")
    with claim:
        if task.is_done():  # finished since, by whoever had the claim
            return Outcome("before")
        return _attempt(task, on_epoch, Checkpoints(task, claim, stop))


def _attempt(task: Task, on_epoch: Callable[[dict[str, float]], None], checkpoints: Checkpoints) -> Outcome:
    try:
        result = experiment(task.config, _load(task.shelf), on_epoch, checkpoints)
        record = _record(task, result, checkpoints)
        write_record(task.folder, record, {HISTORY: _csv(result.history), **result.files})
        return Outcome("done", scores=result.metrics["test"], seconds=record["timing"]["total_s"])
    except Interrupted:
        return Outcome("interrupted", seconds=checkpoints.seconds())
    except TakenOver:
        return Outcome("elsewhere")
    except Exception as error:  # the border of a run: its failure is recorded, the sweep goes on
        if cause_of(error) in ("nan", "error"):
            checkpoints.discard()  # it would lead there again; a full disk or memory may have room next time
        return _failed(task, error)


def _failed(task: Task, error: Exception) -> Outcome:
    message = str(error) if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"
    return leave_failure(task, cause_of(error), message, traceback.format_exc())


@lru_cache(maxsize=2)
def _load(shelf: Path) -> Cells:
    """Cells of a shelf, mapped once however many runs read them."""
    return unshelve(shelf)


def cause_of(error: BaseException) -> str:
    """Short class of a failure."""
    if isinstance(error, RunFailed):
        return error.cause
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "oom"
    return "disk" if isinstance(error, OSError) and error.errno in _DISK else "error"


def _record(task: Task, result: Result, checkpoints: Checkpoints) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = {f"{stage}_s": value for stage, value in result.seconds.items()}
    stages["fit_s"] += checkpoints.seconds_before
    total = {"total_s": checkpoints.seconds(), **stages, "interruptions": checkpoints.interruptions}
    return {
        **task.identity,
        "status": "done",
        "config": {**task.plain, "seed": task.config.seed},
        "metrics": result.metrics,
        "missing": result.missing,
        "history_tail": result.history[-1],
        "timing": {**total, "peak_rss_mib": peak},
        "provenance": {**provenance(), "dataset": task.origin},
    }


def _csv(rows: list[dict[str, float]]) -> bytes:
    """Rows as CSV; a float in the shortest form that reads back to the same number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
