"""Carry out one task: run the experiment and leave a record, or the reason why there is none."""

import csv
import errno
import io
import resource
import time
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
from bie.store.provenance import provenance
from bie.store.record import HISTORY, RECORD, write_record
from bie.sweep.task import Outcome, Task, leave_failure


def execute(task: Task, on_epoch: Callable[[dict[str, float]], None]) -> Outcome:
    """Run one task. Whatever goes wrong stays in it."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    if (task.folder / RECORD).exists():
        return Outcome(None, "was done already", {}, 0.0)
    try:
        result = experiment(task.config, _load(task.shelf), on_epoch)
        record = _record(task, result, time.perf_counter() - start)
        write_record(task.folder, record, {HISTORY: _csv(result.history), **result.files})
        return Outcome(None, "", result.metrics["test"], time.perf_counter() - start)
    except Exception as error:  # the border of a run: its failure is recorded, the sweep goes on
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
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk" if full else "error"


def _record(task: Task, result: Result, seconds: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = {f"{stage}_s": value for stage, value in result.seconds.items()}
    return {
        **task.identity,
        "status": "done",
        "config": {**task.plain, "seed": task.config.seed},
        "metrics": result.metrics,
        "missing": result.missing,
        "history_tail": result.history[-1] if result.history else {},
        "timing": {"total_s": seconds, **stages, "peak_rss_mib": peak},
        "provenance": {**provenance(), "dataset": task.origin},
    }


def _csv(rows: list[dict[str, float]]) -> bytes:
    """Rows as CSV, none for a control; a float in the shortest form that reads back to the same number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["epoch"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
