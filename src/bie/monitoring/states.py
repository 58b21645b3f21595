"""What Slurm knows of the tasks of its arrays.

Three commands are asked in turn, because each of them forgets or is missing: ``squeue`` shows only what waits
or runs, ``scontrol`` remembers an ended task for a few minutes (``MinJobAge``), ``sacct`` is switched off
on many clusters. A task that none of them knows is not known: that is never taken for its end.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bie.launching import slurm

Key = tuple[str, int]
"""Id of an array and index of a task in it."""

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
ENDED = {
    "COMPLETED": None,
    "FAILED": "error",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "OUT_OF_MEMORY": "oom",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preempted",
}
"""Cause that an end in Slurm's words gives to the runs left undone; None: it explains nothing.

Every word that stands in neither table (RUNNING, COMPLETING, SUSPENDED, ...) is a task at work.
"""

EXITS = {0: None, 9: "killed", 15: "cancelled", 73: "disk", 124: "timeout"}
"""Cause by exit code or signal: what a task's script and the runner in it end with, besides errors."""


@dataclass(frozen=True)
class State:
    """Where a task stands."""

    phase: Literal["waiting", "running", "ended"]
    cause: str | None = None  # of an ended task: why runs of it may be undone, where its end explains that
    word: str = ""  # Slurm's own, for people


def ask(wanted: Iterable[Key]) -> tuple[dict[Key, State], str | None]:
    """States of tasks, as far as any of Slurm's commands knows them; why it could not be asked, if so."""
    tasks, states = set(wanted), dict[Key, State]()
    try:
        for command in (slurm.queue, slurm.show_jobs, slurm.accounting):
            arrays = {array for array, _ in tasks - states.keys()}
            if arrays:
                states = states_of(command(sorted(arrays, key=int))) | states
    except slurm.SlurmError as error:
        return states, str(error)
    return states, None


def states_of(rows: Iterable[slurm.Told]) -> dict[Key, State]:
    """States by task; those that are one entry share theirs."""
    return {key: state_of(row.state, row.code) for row in rows for key in _keys(row.task)}


def _keys(task: str) -> Iterator[Key]:
    """Array and index of each task; a plain job is task 0 of itself."""
    array, _, index = task.partition("_")
    return ((array, i) for i in ((0,) if index in ("", "N/A") else indices(index)))


def indices(text: str) -> Iterator[int]:
    """Indices of an array as Slurm writes them; what cannot be read is left out.

    >>> list(indices("[1-3,7%2]")), list(indices("0-6:3")), list(indices("N/A"))
    ([1, 2, 3, 7], [0, 3, 6], [])
    """
    for part in text.strip("[]").partition("%")[0].split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        if found:
            first, last, step = found.groups()
            yield from range(int(first), int(last or first) + 1, int(step or 1))


def state_of(word: str, code: str = "") -> State:
    """State for a word of Slurm's such as ``RUNNING`` or ``CANCELLED by 1000``, and ``exit:signal``."""
    name = word.split(" ")[0].rstrip("+")
    if name in WAITING:
        return State("waiting", None, name)
    if name not in ENDED:
        return State("running", None, name)
    numbers = [int(number) for number in code.split(":") if number.isdigit()]
    return State("ended", cause_of_exit(max(numbers, default=1)) if name == "FAILED" else ENDED[name], name)


def cause_of_exit(code: int) -> str | None:
    """Cause for the exit code of a task, or for the signal that ended it.

    ``sacct`` reports a script's exit code 137 as 9.
    """
    return EXITS.get(code - 128 if code > 128 else code, "error")
