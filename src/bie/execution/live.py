"""The live view of a launch or a study: redrawn in place on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console

BAR = 20  # characters


class Lines:
    """A line for whatever happens, and now and then one in between: for log files and pipes.

    Parameters
    ----------
    quiet_s
        Seconds without a line.
    """

    def __init__(self, stream: TextIO, quiet_s: float) -> None:
        self._stream, self._quiet_s = stream, quiet_s
        self._when, self._last = time.monotonic(), ""

    def show(self, share: float, line: str, now: str = "", below: str = "") -> None:
        """Give a sign of life, if anything is new.

        Parameters
        ----------
        share
            How much is done, 0 to 1, for a bar.
        line
            The same in words.
        now
            What is going on, where there is no bar that moves.
        below
            What more there is to see, in lines, where they can be redrawn.
        """
        if time.monotonic() - self._when >= self._quiet_s and f"{line}{now}" != self._last:
            self.say(line, now)

    def say(self, line: str, news: str, stays: bool = True) -> None:
        """Print how things stand and what is new; where the view is redrawn, it `stays` or is soon gone."""
        self._when, self._last = time.monotonic(), f"{line}{news}"
        print("   ".join(part for part in (line, news) if part), file=self._stream, flush=True)


class Terminal:
    """A bar, redrawn with what stands below it; what stays is printed above. A context manager.

    Parameters
    ----------
    console
        Where to draw; None: the terminal.
    """

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.live import Live

        self._below = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, share: float, line: str, now: str = "", below: str = "") -> None:
        """Move the bar."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        self._below = below or self._below
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(1.0, share, BAR), Text(line))
        self._live.update(Group(bar, Text(self._below)))

    def say(self, line: str, news: str, stays: bool = True) -> None:
        """Print it for good, or put it below the bar."""
        if stays:
            self._live.console.print(news, style="red", highlight=False, markup=False)
        else:
            self._below = f"last: {news}"


View = Lines | Terminal


@contextmanager
def live_view(quiet_s: float) -> Iterator[View]:
    """The view that fits where the output goes; for `quiet_s` see `Lines`."""
    if sys.stdout.isatty():
        with Terminal() as redrawn:
            yield redrawn
    else:
        yield Lines(sys.stdout, quiet_s)
