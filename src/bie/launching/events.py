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
class Event(Outcome):
    """How a run ended, and which; or (``fruitless``) that an incarnation of the task got nothing done."""

    config_id: str = ""
    seed: int = -1


def note(launch: Path, name: str, outcome: Outcome, spec: RunSpec | None = None) -> None:
    """Append to the events of a task. A full disk costs the entry, not the run."""
    run = {"config_id": spec.config_id, "seed": spec.config.seed} if spec else {}
    try:
        (launch / FOLDER).mkdir(exist_ok=True)
        file = os.open(launch / FOLDER / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, (json.dumps(asdict(outcome) | run) + "\n").encode())
        finally:
            os.close(file)
    except OSError as error:
        print(f"cannot write the events of {launch}: {error}", flush=True)


def read_events(path: Path, start: int = 0) -> tuple[list[Event], int]:
    """Whole entries of a file of events from a position on, and the position after them."""
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
