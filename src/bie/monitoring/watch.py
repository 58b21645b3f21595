"""A census that is taken again and again, for people: redrawn on a terminal, a line per change elsewhere."""

import sys
from collections import Counter
from typing import Protocol

from bie.monitoring.census import Census
from bie.monitoring.overview import Titles, as_text
from bie.monitoring.planned import titles


class Watcher(Protocol):
    """Shows one census after the other."""

    def __enter__(self) -> "Watcher": ...
    def __exit__(self, *exception: object) -> None: ...
    def __call__(self, census: Census) -> None:
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

    def __call__(self, census: Census) -> None:
        """Say how it stands, unless that has been said."""
        line = counts(census)
        if line != self._said:
            self._said = line
            print(line, flush=True)
        if not census.going:
            print("\n".join(as_text(census, tree=self._tree)), flush=True)


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

    def __call__(self, census: Census) -> None:
        """Draw the census over the one before."""
        from rich.text import Text

        if any(run.config_id not in self._names for run in census.runs):
            self._names = titles(census.launches)
        self._live.update(Text("\n".join(as_text(census, self._names, self._tree))), refresh=True)


def counts(census: Census) -> str:
    """One line: how many runs are in which state."""
    states = Counter(run.state for run in census.runs)
    shown = [
        f"{state} {states[state]:,}" for state in ("running", "queued", "failed", "missing") if states[state]
    ]
    return "   ".join([f"{states['done']:,}/{len(census.runs):,} done", *shown])


def display(tree: str) -> Watcher:
    """The display that fits where the output goes."""
    return Screen(tree) if sys.stdout.isatty() else Lines(tree)
