"""The status of a study, again and again, for people: redrawn on a terminal, a line per change elsewhere."""

import sys
from collections import Counter
from typing import Protocol

from bie.monitoring.overview import Titles, as_text
from bie.monitoring.planned import titles
from bie.monitoring.study_status import StudyStatus


class Watcher(Protocol):
    """Shows one status after the other."""

    def __enter__(self) -> "Watcher": ...
    def __exit__(self, *exception: object) -> None: ...
    def __call__(self, status: StudyStatus) -> None:
        """Show it."""


class Lines:
    """A line whenever a count has changed; the whole table at the end."""

    def __init__(self, tree: str) -> None:
        self._tree = tree
        self._said = ""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, status: StudyStatus) -> None:
        """Say how it stands, unless that has been said."""
        line = counts(status)
        if line != self._said:
            self._said = line
            print(line, flush=True)
        if not status.going:
            print("\n".join(as_text(status, tree=self._tree)), flush=True)


class Screen:
    """The table of ``bie status``, redrawn in place and left standing at the end."""

    def __init__(self, tree: str) -> None:
        self._tree = tree
        self._names: Titles = {}

    def __enter__(self) -> "Screen":
        from rich.live import Live

        self._live = Live(auto_refresh=False, vertical_overflow="crop")
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def __call__(self, status: StudyStatus) -> None:
        """Draw the status over the one before."""
        from rich.text import Text

        if any(run.config_id not in self._names for run in status.runs):
            self._names = titles(status.launches)
        self._live.update(Text("\n".join(as_text(status, self._names, self._tree))), refresh=True)


def counts(status: StudyStatus) -> str:
    """One line: how many runs are in which state."""
    states = Counter(run.state for run in status.runs)
    shown = [
        f"{state} {states[state]:,}" for state in ("running", "queued", "failed", "missing") if states[state]
    ]
    return "   ".join([f"{states['done']:,}/{len(status.runs):,} done", *shown])


def display(tree: str) -> Watcher:
    """The display that fits where the output goes."""
    return Screen(tree) if sys.stdout.isatty() else Lines(tree)
