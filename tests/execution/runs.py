"""One tiny run, and what to do with it."""

import json
from collections.abc import Callable
from typing import Any

from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.worker import execute_one
from bie.store.record import RECORD

EPOCHS = 4
MINE = ("model=scvi_mine", "mine.steps=1")
Make = Callable[..., RunSpec]


def after(epoch: int) -> tuple[Callable[[int], None], Callable[[], bool]]:
    """What to hand to `execute_one` so that it is asked to stop after an epoch."""
    seen: list[int] = []
    return seen.append, lambda: bool(seen) and seen[-1] >= epoch


def interrupted(spec: RunSpec, epoch: int) -> Outcome:
    outcome = execute_one(spec, *after(epoch))
    assert outcome.status == "interrupted"
    return outcome


def epochs_of(spec: RunSpec) -> list[int]:
    """Epochs that it takes to finish the run."""
    seen: list[int] = []
    assert execute_one(spec, seen.append).status == "done"
    return seen


def names(spec: RunSpec) -> set[str]:
    return {path.name for path in spec.folder.iterdir()}


def record(spec: RunSpec) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((spec.folder / RECORD).read_text())
    return found


def numbers(spec: RunSpec) -> str:
    """All of a record but when and where it was made."""
    return json.dumps({k: v for k, v in record(spec).items() if k not in ("timing", "provenance")})
