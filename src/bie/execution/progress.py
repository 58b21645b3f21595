"""How a launch gets on, for people: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from bie.execution.run_spec import Outcome, RunSpec, Status
from bie.planning.durations import duration

if TYPE_CHECKING:
    from rich.console import Console

BAR = 20  # characters
QUIET = 60  # seconds without a line
STOPPING = "stopping after this epoch; again to stop at once"

_SAID: Mapping[Status, str] = {
    "before": "was done already:",
    "elsewhere": "is being done by another launch:",
    "decided": "is not needed any more:",
    "interrupted": "stopped before it began:",
}


class Scoreboard:
    """Counts and times of a launch; both displays read it.

    Parameters
    ----------
    n_runs
        Number of runs to do, by model: models differ in how long they take.
    n_workers
        Processes at work.
    """

    def __init__(self, n_runs: Mapping[str, int], n_workers: int) -> None:
        self.left, self.n_workers = Counter(n_runs), n_workers
        self.total = sum(n_runs.values())
        self.done = 0
        self.before = 0
        self.decided = 0
        self.elsewhere: list[RunSpec] = []
        self.midway = 0
        self.failed: Counter[str] = Counter()
        self.running: dict[Path, tuple[RunSpec, float]] = {}
        self.shares: dict[Path, float] = {}
        self._seconds: dict[str, list[float]] = {}

    def started(self, spec: RunSpec) -> None:
        """Note when a run began."""
        self.running[spec.folder] = (spec, time.monotonic())
        self.shares[spec.folder] = 0.0

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """Note how far a run has come."""
        self.shares[spec.folder] = epoch / spec.config.train.epochs

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Count a run and learn from its time. One that was interrupted is still left to do."""
        del self.running[spec.folder]
        model = spec.config.model.name
        self.left[model] -= outcome.status != "interrupted"
        self.midway += outcome.midway
        self.before += outcome.status == "before"
        self.decided += outcome.status == "decided"
        if outcome.status == "elsewhere":
            self.elsewhere.append(spec)
        if outcome.cause:
            self.failed[outcome.cause] += 1
        if outcome.status == "done":
            self.done += 1
            self._seconds.setdefault(model, []).append(outcome.seconds)

    @property
    def over(self) -> int:
        """Runs that this launch is through with."""
        return self.total - self.left.total()

    def seconds_left(self) -> float | None:
        """Estimate from the runs so far; None while nothing is known."""
        known = {model: sum(s) / len(s) for model, s in self._seconds.items()}
        together = max(1.0, len(self.running) / self.n_workers)  # runs that share a worker's time
        for folder, (spec, start) in self.running.items():
            if self.shares[folder] > 0.02 and spec.config.model.name not in known:
                known[spec.config.model.name] = (time.monotonic() - start) / self.shares[folder] / together
        if not known:
            return None
        other = sum(known.values()) / len(known)
        work = sum(n * known.get(model, other) for model, n in self.left.items())
        begun = sum(
            self.shares[s] * known.get(t.config.model.name, other) for s, (t, _) in self.running.items()
        )
        return max(work - begun, 0.0) / self.n_workers

    def line(self) -> str:
        """One line: how many, how many failed, how long still."""
        left = self.seconds_left()
        parts = [
            f"{self.over}/{self.total}",
            f"{self.n_workers} worker{'s' * (self.n_workers != 1)}",
            f"running {len(self.running)}",
            f"failed {sum(self.failed.values())}",
            f"left {duration(left)}" if left is not None and self.over < self.total else "",
        ]
        return "   ".join(part for part in parts if part)


class Progress(ABC):
    """An observer that keeps a scoreboard and shows it."""

    def __init__(self, board: Scoreboard) -> None:
        self.board = board

    def started(self, spec: RunSpec) -> None:
        """Note that a run began."""
        self.board.started(spec)
        self.show("")

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """Note how far a run has come."""
        self.board.epoch(spec, epoch)
        self.show(f"epoch {epoch} of {spec.title}")

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Say how a run ended."""
        self.board.ended(spec, outcome)
        self.say(ending(spec, outcome), failed=outcome.cause is not None)

    @abstractmethod
    def stopping(self) -> None:
        """Say what happens now."""

    @abstractmethod
    def show(self, news: str) -> None:
        """Show how the launch stands, or not: some run gets on."""

    @abstractmethod
    def say(self, news: str, failed: bool) -> None:
        """Show how the launch stands, and how a run ended."""


class Lines(Progress):
    """A line for each run that ends, and one a minute in between: for log files and pipes."""

    def __init__(self, board: Scoreboard, stream: TextIO) -> None:
        super().__init__(board)
        self._stream, self._said = stream, time.monotonic()

    def stopping(self) -> None:
        """Say what happens now."""
        self.say(STOPPING)

    def show(self, news: str) -> None:
        """Give a sign of life where runs are long."""
        if news and time.monotonic() - self._said > QUIET:
            self.say(news)

    def say(self, news: str, failed: bool = False) -> None:
        """Print how the launch stands and what is new."""
        self._said = time.monotonic()
        print(f"{self.board.line()}   {news}", file=self._stream, flush=True)


class Display(Progress):
    """Rich's progress bar and the last run, redrawn in place; failures stay on the screen. A context manager.

    Parameters
    ----------
    console
        Where to draw; None: the terminal.
    """

    def __init__(self, board: Scoreboard, console: "Console | None" = None) -> None:
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        super().__init__(board)
        self._last = Text()
        self._progress = Progress(BarColumn(BAR), TextColumn("{task.description}", markup=False))
        self._task = self._progress.add_task("", total=board.total)
        shown = Group(self._progress, self._last)
        self._live = Live(shown, console=console, refresh_per_second=4, transient=True)
        self.show("")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def stopping(self) -> None:
        """Say what happens now, and leave it on the screen."""
        self._live.console.print(STOPPING, highlight=False, markup=False)

    def show(self, news: str) -> None:
        """Move the bar."""
        board = self.board
        seeds = sorted({spec.config.seed for spec, _ in board.running.values()})
        now = f"   seed {', '.join(map(str, seeds[:4]))}" if seeds else ""
        begun = sum(board.shares[folder] for folder in board.running)
        self._progress.update(self._task, completed=board.over + begun, description=board.line() + now)

    def say(self, news: str, failed: bool) -> None:
        """Show the run as the last one; print a failure for good."""
        if failed:
            self._live.console.print(news, style="red", highlight=False, markup=False)
        else:
            self._last.plain = f"last: {news}"
        self.show("")


@contextmanager
def display(board: Scoreboard) -> Iterator[Progress]:
    """The display that fits where the output goes."""
    if sys.stdout.isatty():
        with Display(board) as redrawn:
            yield redrawn
    else:
        yield Lines(board, sys.stdout)


def ending(spec: RunSpec, outcome: Outcome) -> str:
    """One line on how a run ended."""
    name = f"{spec.title} seed={spec.config.seed}"
    if outcome.cause:
        return (
            f"failed ({outcome.cause}) {name}: {outcome.message.splitlines()[0] if outcome.message else ''}"
        )
    if outcome.midway:
        return f"stopped, with a checkpoint: {name}"
    if outcome.status != "done":
        return f"{_SAID[outcome.status]} {name}"
    return "  ".join(
        part for part in (f"done {name}", scores(outcome.scores), duration(outcome.seconds)) if part
    )


def scores(values: Mapping[str, float | None]) -> str:
    """The test scores that a progress line has room for."""
    ari, be, ceiling = (values.get(name) for name in ("ari", "be", "be_ceiling"))
    shown = [f"ari {ari:.2f}"] if ari is not None else []
    shown += [f"be {be:.2f} of {ceiling:.2f}"] if be is not None and ceiling is not None else []
    return "  ".join(shown)
