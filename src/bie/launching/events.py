"""What the tasks of a launch noted about the runs that ended, and the circuit breaker that reads it.

Each task appends to a file of its own, so nothing is ever locked. The events serve the task after a restart,
and the breaker, which stops a launch whose runs fail of one thing: the rest would too. What is true of a run
stands in its own folder.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bie.execution.run_spec import Outcome, RunSpec
from bie.store.launches import stop
from bie.store.record import normalised

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


def read_events(launch: Path, name: str) -> list[Event]:
    """Whole entries of the events of a task, or of all whose names match a pattern."""
    files = sorted((launch / FOLDER).glob(f"{name}.jsonl"))
    return [event for path in files for event in _parsed(path.read_bytes())]


def _parsed(text: bytes) -> Iterator[Event]:
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        try:
            value: dict[str, Any] = json.loads(line)
        except ValueError:  # two incarnations of a task, or a full disk
            continue
        yield Event(**value)


def break_circuit(launch: Path, most: int | None) -> bool:
    """Stop a launch whose failures are of one kind: `most` of them, and half of the runs that ended or more.

    Returns
    -------
    bool
        True for the one who stops it.
    """
    if most is None:
        return False
    ended = read_events(launch, "[0-9]*")
    kinds = Counter(f"{e.cause}: {normalised(e.message)}" for e in ended if e.status == "failed")
    if not kinds:
        return False
    reason, n = kinds.most_common(1)[0]
    n_ended = sum(e.status in ("done", "failed") for e in ended)
    if n < most or 2 * n < n_ended:
        return False
    return stop(launch, f"{n} of {n_ended} runs failed alike, {reason}")
