"""What the tasks of a launch noted about the runs that ended, and when that is reason to stop.

Each task appends to a file of its own, so nothing is ever locked. The journal serves the display and the
circuit breaker; what is true of a run stands in its own folder.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bie.execution.task import Outcome, Task
from bie.store.launches import stop

FOLDER = "journal"


@dataclass(frozen=True)
class Entry:
    """One run that ended, or (`status` ``fruitless``) an incarnation of the task that got nothing done."""

    status: str
    config_id: str = ""
    seed: int = -1
    cause: str | None = None
    message: str = ""
    seconds: float = 0.0
    scores: dict[str, float | None] | None = None


def entry(task: Task, outcome: Outcome) -> Entry:
    """Entry of a run that ended."""
    return Entry(
        outcome.status,
        task.config_id,
        task.config.seed,
        outcome.cause,
        outcome.message,
        outcome.seconds,
        outcome.scores,
    )


def note(launch: Path, name: str, new: Entry) -> None:
    """Append to the journal of a task. A full disk costs the entry, not the run."""
    try:
        (launch / FOLDER).mkdir(exist_ok=True)
        file = os.open(launch / FOLDER / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(file, (json.dumps(asdict(new)) + "\n").encode())
        finally:
            os.close(file)
    except OSError as error:
        print(f"cannot write the journal of {launch}: {error}", flush=True)


def entries(path: Path, start: int = 0) -> tuple[list[Entry], int]:
    """Whole entries of a journal file from a position on, and the position after them."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    return list(_parsed(whole)), start + len(whole)


def _parsed(text: bytes) -> Iterator[Entry]:
    for line in text.splitlines():
        try:
            value: dict[str, Any] = json.loads(line)
        except ValueError:  # two incarnations of a task, or a full disk
            continue
        yield Entry(**value)


def signature(cause: str | None, message: str) -> str:
    """What makes two failures the same: the cause, and the message with its numbers taken out.

    >>> signature("nan", "epoch 3: loss is 1.5e+30"), signature("oom", "0x7f3a of 64 GiB")
    ('nan: epoch #: loss is #', 'oom: # of # GiB')
    """
    return f"{cause}: {_NUMBER.sub('#', message)}"


_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(\.\d+)?([eE][-+]?\d+)?")


def trip(launch: Path, most: int | None) -> bool:
    """Stop a launch whose failures are of one kind: `most` of them, and half of the runs that ended or more.

    Returns
    -------
    bool
        True for the one who stops it.
    """
    if most is None:
        return False
    ended = [e for path in (launch / FOLDER).glob("[0-9]*.jsonl") for e in entries(path)[0]]
    alike = Counter(signature(e.cause, e.message) for e in ended if e.status == "failed")
    if not alike:
        return False
    reason, n = alike.most_common(1)[0]
    n_ended = sum(e.status in ("done", "failed") for e in ended)
    if n < most or 2 * n < n_ended:
        return False
    return stop(launch, f"{n} of {n_ended} runs failed alike, {reason}")
