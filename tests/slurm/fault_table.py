"""The table of the faults that the tests provoke, and its place in the guide."""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

HEADER = ("fault", "found after", "lost", "recovered by")
BEGIN, END = "<!-- faults: written by scripts/fault_table -->", "<!-- /faults -->"

AT_WORK = "of the run at work, what came after its last checkpoint"
NOTHING = "nothing: it goes on from a checkpoint"


@dataclass(frozen=True)
class Fault:
    """What a fault did to a sweep.

    Attributes
    ----------
    found
        Time until bie or Slurm noticed it.
    """

    name: str
    found: str
    lost: str
    recovered: str


def markdown(faults: Sequence[Fault]) -> str:
    """The table, as wide as its cells.

    >>> print(markdown([Fault("power cut", "2 s", "nothing", "itself")]))
    | fault     | found after | lost    | recovered by |
    | --------- | ----------- | ------- | ------------ |
    | power cut | 2 s         | nothing | itself       |
    """
    rows = [HEADER, *(astuple(fault) for fault in faults)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {line} |" for line in lines)


def write(guide: Path, faults: Sequence[Fault]) -> None:
    """Put the table between its marks."""
    text, n = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}",
        lambda _: f"{BEGIN}\n{markdown(faults)}\n{END}",
        guide.read_text(),
        flags=re.DOTALL,
    )
    if n != 1:
        raise ValueError(f"{guide}: no place for the table, {BEGIN} ... {END}")
    guide.write_text(text)
