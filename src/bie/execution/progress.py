"""How a launch gets on: counts, times, ends of runs; redrawn in place on a terminal, in lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from bie.execution.run_spec import Outcome, RunSpec, Status
from bie.planning.durations import duration

if TYPE_CHECKING:
    from rich.console import Console

QUIET_S = 60.0  # without a line
BAR = 20  # characters
STOPPING = "stopping after this epoch (pairs and sets: after this run); again to stop at once"

_SAID: Mapping[Status, str] = {
    "before": "was done already:",
    "elsewhere": "is being done by another launch:",
    "decided": "is not needed any more:",
    "interrupted": "stopped before it began:",
}


class Lines:
    """A line for whatever happens, and one in between after `quiet_s` without: for log files and pipes."""

    def __init__(self, stream: TextIO, quiet_s: float) -> None:
        self._stream, self._quiet_s = stream, quiet_s
        self._when, self._last = time.monotonic(), ""

    def show(self, share: float, line: str, now: str = "", below: str = "") -> None:
        """Give a sign of life, if anything is new.

        `share` is how much is done, 0 to 1, for a bar, and `line` the same in words. What goes on `now` is
        for where no bar moves; the lines `below` are for where they can be redrawn.
        """
        if time.monotonic() - self._when >= self._quiet_s and f"{line}{now}" != self._last:
            self.say(line, now)

    def say(self, line: str, news: str, stays: bool = True) -> None:
        """Print how things stand and what is new; where the view is redrawn, it `stays` or is soon gone."""
        self._when, self._last = time.monotonic(), f"{line}{news}"
        print("   ".join(part for part in (line, news) if part), file=self._stream, flush=True)


class Terminal:
    """A bar, redrawn with what stands below it; what stays is printed above. A context manager."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.live import Live

        self._below = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

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


class Scoreboard:
    """Counts and times of a launch, by model, since models differ in how long they take.

    An observer of its runs, which shows them as long as it has a `view`.
    """

    def __init__(self, n_runs: Mapping[str, int], n_workers: int, view: View | None = None) -> None:
        self.left, self.n_workers, self.view = Counter(n_runs), n_workers, view
        self.total = sum(n_runs.values())
        self.ends: Counter[Status] = Counter()
        self.midway = 0
        self.elsewhere: list[RunSpec] = []
        self.failed: Counter[str] = Counter()
        self.running: dict[Path, tuple[RunSpec, float]] = {}
        self.shares: dict[Path, float] = {}
        self._seconds: dict[str, list[float]] = {}

    def started(self, spec: RunSpec) -> None:
        """Note when a run began."""
        self.running[spec.folder] = (spec, time.monotonic())
        self.shares[spec.folder] = 0.0
        self._show()

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """Note how far a run has come."""
        self.shares[spec.folder] = epoch / spec.config.train.epochs
        self._show(f"epoch {epoch} of {spec.title}")

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Count a run, learn from its time and say how it ended. One that was interrupted is left to do."""
        del self.running[spec.folder]
        model = spec.config.model.name
        self.left[model] -= outcome.status != "interrupted"
        self.ends[outcome.status] += 1
        self.midway += outcome.midway
        if outcome.status == "elsewhere":
            self.elsewhere.append(spec)
        if outcome.cause:
            self.failed[outcome.cause] += 1
        if outcome.status == "done":
            self._seconds.setdefault(model, []).append(outcome.seconds)
        if self.view:
            self.view.say(self.line(), ending(spec, outcome), stays=outcome.cause is not None)
        self._show()

    def stopping(self) -> None:
        """Say what happens now."""
        if self.view:
            self.view.say(self.line(), STOPPING)

    def _show(self, now: str = "") -> None:
        if self.view:
            self.view.show(self.share, self.line(), now)

    @property
    def over(self) -> int:
        """Runs that this launch is through with."""
        return self.total - self.left.total()

    @property
    def share(self) -> float:
        """How much of the launch is done, 0 to 1; the epochs of runs at work count."""
        return (self.over + sum(self.shares[folder] for folder in self.running)) / max(self.total, 1)

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
        """One line: how many, how many failed, how long still, at which seeds."""
        left = self.seconds_left()
        seeds = sorted({spec.config.seed for spec, _ in self.running.values()})
        parts = [
            f"{self.over}/{self.total}",
            f"{self.n_workers} worker{'s' * (self.n_workers != 1)}",
            f"running {len(self.running)}",
            f"failed {self.failed.total()}",
            f"left {duration(left)}" if left is not None and self.over < self.total else "",
            f"seed {', '.join(map(str, seeds[:4]))}" if seeds else "",
        ]
        return "   ".join(part for part in parts if part)


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
