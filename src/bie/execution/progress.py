"""How a launch gets on: counts, times, what each run came to; in words for the live view."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bie.execution.live import View
from bie.execution.run_spec import Outcome, RunSpec, Status
from bie.planning.durations import duration

QUIET_S = 60.0  # without a line
STOPPING = "stopping after this epoch; again to stop at once"

_SAID: Mapping[Status, str] = {
    "before": "was done already:",
    "elsewhere": "is being done by another launch:",
    "decided": "is not needed any more:",
    "interrupted": "stopped before it began:",
}


class Scoreboard:
    """Counts and times of a launch.

    Runs are counted by model: models differ in how long they take.
    """

    def __init__(self, n_runs: Mapping[str, int], n_workers: int) -> None:
        self.left, self.n_workers = Counter(n_runs), n_workers
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

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """Note how far a run has come."""
        self.shares[spec.folder] = epoch / spec.config.train.epochs

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Count a run and learn from its time. One that was interrupted is still left to do."""
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


class Progress:
    """An observer that keeps a scoreboard and has a view show it."""

    def __init__(self, board: Scoreboard, view: View) -> None:
        self._board, self._view = board, view
        self._show()

    def started(self, spec: RunSpec) -> None:
        """Note that a run began."""
        self._board.started(spec)
        self._show()

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """Note how far a run has come."""
        self._board.epoch(spec, epoch)
        self._show(f"epoch {epoch} of {spec.title}")

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Say how a run ended; a failure for good."""
        self._board.ended(spec, outcome)
        self._view.say(self._board.line(), ending(spec, outcome), stays=outcome.cause is not None)
        self._show()

    def stopping(self) -> None:
        """Say what happens now."""
        self._view.say(self._board.line(), STOPPING)

    def _show(self, now: str = "") -> None:
        self._view.show(self._board.share, self._board.line(), now)


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
