"""Stop a launch whose runs fail of one thing: the rest would too."""

import re
from collections import Counter
from pathlib import Path

from bie.launching.events import FOLDER, read_events
from bie.store.launches import stop

_VARIABLE = (
    (re.compile(r"(?:[\w.~-]*/)+[\w.~=-]*"), "PATH"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}\b"), "HEX"),
    (re.compile(r"[-+]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"), "N"),
)


def alike(cause: str | None, message: str) -> str:
    """What makes two failures the same: the cause, and the message without what differs from run to run.

    >>> alike("nan", "epoch 3: loss is 1.5e+30"), alike("oom", "0x7f3a of 64 GiB")
    ('nan: epoch N: loss is N', 'oom: HEX of N GiB')
    """
    return f"{cause}: {normalised(message)}"


def first_line(message: str) -> str:
    """First line that says something."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")


def normalised(message: str) -> str:
    """Message without what differs from run to run: numbers, paths, addresses.

    >>> normalised("loss is nan at epoch 3 (seed=17), see /scratch/x/seed=0017")
    'loss is nan at epoch N (seed=N), see PATH'
    """
    line = first_line(message)
    for pattern, name in _VARIABLE:
        line = pattern.sub(name, line)
    return line


def break_circuit(launch: Path, most: int | None) -> bool:
    """Stop a launch whose failures are of one kind: `most` of them, and half of the runs that ended or more.

    Returns
    -------
    bool
        True for the one who stops it.
    """
    if most is None:
        return False
    ended = [e for path in (launch / FOLDER).glob("[0-9]*.jsonl") for e in read_events(path)[0]]
    kinds = Counter(alike(e.cause, e.message) for e in ended if e.status == "failed")
    if not kinds:
        return False
    reason, n = kinds.most_common(1)[0]
    n_ended = sum(e.status in ("done", "failed") for e in ended)
    if n < most or 2 * n < n_ended:
        return False
    return stop(launch, f"{n} of {n_ended} runs failed alike, {reason}")
