"""What the tasks of a launch noted about the runs that ended.

Each task appends to a file of its own, so nothing is ever locked. The events serve the display and the
circuit breaker; what is true of a run stands in its own folder.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bie.execution.run_spec import Outcome, RunSpec

FOLDER = "journal"


@dataclass(frozen=True)
class Event:
    """One run that ended, or (`status` ``fruitless``) an incarnation of the task that got nothing done."""

    status: str
    config_id: str = ""
    seed: int = -1
    cause: str | None = None
    message: str = ""
    seconds: float = 0.0
    scores: dict[str, float | None] | None = None


def event_of(task: RunSpec, outcome: Outcome) -> Event:
    """Entry of a run that ended."""
    return Event(
        outcome.status,
        task.config_id,
        task.config.seed,
        outcome.cause,
        outcome.message,
        outcome.seconds,
        outcome.scores,
    )


def note(launch: Path, name: str, new: Event) -> None:
    """Append to the events of a task. A full disk costs the entry, not the run."""
    try:
        (launch / FOLDER).mkdir(exist_ok=True)
        file = os.open(launch / FOLDER / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, (json.dumps(asdict(new)) + "\n").encode())
        finally:
            os.close(file)
    except OSError as error:
        print(f"cannot write the events of {launch}: {error}", flush=True)


def read_events(path: Path, start: int = 0) -> tuple[list[Event], int]:
    """Whole entries of a events file from a position on, and the position after them."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    return list(_parsed(whole)), start + len(whole)


def _parsed(text: bytes) -> Iterator[Event]:
    for line in text.splitlines():
        try:
            value: dict[str, Any] = json.loads(line)
        except ValueError:  # two incarnations of a task, or a full disk
            continue
        yield Event(**value)
