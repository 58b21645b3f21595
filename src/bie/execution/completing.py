"""Files that a finished run lacks, as nobody asked for them then: it trains anew, its record stays."""

from collections.abc import Iterator, Mapping
from typing import Any

from bie.execution.checkpoints import Checkpoints
from bie.execution.run_spec import Outcome, RunSpec
from bie.experiment import Result
from bie.store.provenance import provenance
from bie.store.record import RECORD, lacking, read, write_file

DIFFERS = "differs"
"""Cause of failure: what came out is not what the record says, so that its files would not be its own."""


def complete(spec: RunSpec, result: Result, checkpoints: Checkpoints) -> Outcome:
    """Write the files that are asked for and not there, if all numbers are those of the record.

    Parameters
    ----------
    spec
        A run with a record, which is not touched.
    result
        Of the same run, trained anew.
    checkpoints
        Of that training; not needed any more.
    """
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
