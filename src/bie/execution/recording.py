"""A run from its claim to its record, or the reason why there is none."""

import csv
import errno
import io
import math
import resource
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from bie.data.cells import Cells
from bie.data.prepared import read_prepared
from bie.errors import RunFailed
from bie.execution.checkpoints import Checkpoints, Interrupted, TakenOver
from bie.execution.run_spec import Outcome, RunSpec, leave_failure
from bie.execution.stopping import wanted
from bie.result import Result
from bie.store.claims import Claim, take
from bie.store.owner import Owner
from bie.store.provenance import provenance
from bie.store.record import HISTORY, RECORD, lacking, read, write_file, write_record

DIFFERS = "differs"
"""Cause of failure: what came out is not what the record says, so that its files would not be its own."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_NO_MEMORY = "can't allocate memory", "out of memory", "ALLOC_FAILED"
"""Of the CPU, of CUDA and Triton, of cuBLAS and cuDNN: what torch may raise as a plain RuntimeError."""


def claimed(spec: RunSpec, launch: str | None) -> Claim | Outcome:
    """Claim of a run that is to be done; how it ended, where it is not."""
    if spec.is_done():
        return Outcome("before")
    if not spec.has_record() and not wanted(spec):
        return Outcome("decided")
    try:
        claim = take(spec.folder, Owner.here(launch))
    except OSError as error:
        return failed(spec, error)
    if claim is None:
        return Outcome("elsewhere")
    if spec.is_done():  # finished since, by whoever had the claim
        claim.release()
        return Outcome("before")
    return claim


def attempt(
    spec: RunSpec,
    work: Callable[[], Result],
    checkpoints: Checkpoints,
    made_by: Mapping[str, Any] | None = None,
) -> Outcome:
    """Do a run's work and leave its record, or the reason why there is none.

    A run that has a record gets the files that it lacks, if what comes out is its record again. `made_by` is
    what the provenance says otherwise than that of this process.
    """
    try:
        result = work()
        if spec.has_record():
            return _complete(spec, result, checkpoints)
        record = _record(spec, result, checkpoints, made_by or {})
        if not write_record(spec.folder, record, {HISTORY: _csv(result.history), **result.files}):
            return Outcome("before")  # by a successor, whose scores may differ from ours
        return Outcome("done", scores=result.metrics["test"], seconds=record["timing"]["total_s"])
    except Interrupted:
        return Outcome("interrupted", seconds=checkpoints.seconds())
    except TakenOver:
        return Outcome("elsewhere")
    except Exception as error:  # the border of a run: its failure is recorded, the sweep goes on
        if cause_of(error) in ("nan", "error"):
            checkpoints.discard()  # it would lead there again; a full disk or memory may have room next time
        return failed(spec, error)


def _complete(spec: RunSpec, result: Result, checkpoints: Checkpoints) -> Outcome:
    """Write the files that a run with a record lacks, if trained anew all numbers are those of the record."""
    names = lacking(spec.folder, spec.config)
    if not names:  # somebody else has finished the run meanwhile
        return Outcome("before")
    record = read(spec.folder / RECORD)
    if record is None:
        return Outcome(
            "failed", "unreadable", f"{spec.folder / RECORD} cannot be read: bie retry makes it anew"
        )
    checkpoints.discard()
    numbers, found = _numbers(record["metrics"]), _numbers(result.metrics)
    other = [name for name in {**numbers, **found} if numbers.get(name) != found.get(name)]
    if other:
        first = f"{other[0]} is {found.get(other[0])}, was {numbers.get(other[0])}"
        said = f"trained anew, {len(other)} of {len(numbers)} numbers are not those of its record ({first})"
        makers = ", ".join(_other_makers(record["provenance"])) or "nothing known"
        return Outcome(
            "failed",
            DIFFERS,
            f"{said}; other than then: {makers}. Its record stays, {', '.join(names)} is not kept",
        )
    for name in names:
        write_file(spec.folder / name, result.files[name])
    return Outcome("done", scores=result.metrics["test"], seconds=checkpoints.seconds())


def _numbers(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    return {f"{part}.{name}": value for part, values in metrics.items() for name, value in values.items()}


def _other_makers(before: Mapping[str, Any]) -> Iterator[str]:
    """What of code and machine is not what it was, in words."""
    words = {"source_sha256": "code", "packages": "packages", "python": "Python", "kernels": "kernels"}
    now = provenance()
    yield from (word for name, word in words.items() if before.get(name) != now[name])
    device = before.get("device") or {}
    if pack := device.get("pack"):
        yield f"it was one of a pack of {pack}"
    if {**device, "pack": None} != {**now["device"], "pack": None}:
        yield "device"


def failed(spec: RunSpec, error: Exception) -> Outcome:
    """Record the failure of a run by an error."""
    return leave_failure(spec, cause_of(error), message_of(error), traceback.format_exc())


@lru_cache(maxsize=2)
def cells_on(prepared: Path) -> Cells:
    """Prepared cells, mapped once however many runs read them."""
    return read_prepared(prepared)


def cause_of(error: BaseException) -> str:
    """Short class of a failure."""
    if isinstance(error, RunFailed):
        return error.cause
    if _is_full_memory(error):
        return "oom"
    return "disk" if isinstance(error, OSError) and error.errno in _DISK else "error"


def _is_full_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    return said or isinstance(error, MemoryError | torch.OutOfMemoryError)


def message_of(error: BaseException) -> str:
    """A failure in words."""
    return str(error) if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"


def _record(
    spec: RunSpec, result: Result, checkpoints: Checkpoints, made_by: Mapping[str, Any]
) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = {f"{stage}_s": value for stage, value in result.seconds.items()}
    stages["fit_s"] += checkpoints.seconds_before
    total = {"total_s": sum(stages.values()), **stages, "interruptions": checkpoints.interruptions}
    return {
        **spec.identity,
        "status": "done",
        "config": {**spec.plain, "seed": spec.config.seed},
        "metrics": result.metrics,
        "missing": result.missing,
        "notes": result.notes,
        "probe_f1_by_batch": result.probe_f1_by_batch,
        "ot_ratio_by_type": result.ot_ratio_by_type,
        "history_tail": _finite(result.history[-1]) if result.history else {},
        "timing": {**total, "peak_rss_mib": peak},
        "provenance": {**provenance(), **made_by, "dataset": spec.origin},
    }


def _finite(row: Mapping[str, float]) -> dict[str, float | None]:
    """A row with nothing in the place of what JSON has no number for."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _csv(rows: list[dict[str, float]]) -> bytes:
    """Rows as CSV, none for a control; a float in the shortest form that reads back to the same number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["epoch"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
