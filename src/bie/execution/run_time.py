"""How long runs take, and which can still be finished before a task's time is over."""

import time
from collections.abc import Mapping

from bie.execution.run_spec import Outcome, RunSpec


class RunTimes:
    """Durations as forecast at the launch and as seen since.

    Parameters
    ----------
    forecast
        Seconds of a run by config_id, from earlier launches.
    """

    def __init__(self, forecast: Mapping[str, float]) -> None:
        self._forecast = dict(forecast)
        self._seen: dict[str, float] = {}
        self._per_epoch: dict[tuple[str, str], float] = {}

    def learn(self, spec: RunSpec, outcome: Outcome) -> None:
        """Note how long a run took: the longest of its kind counts."""
        if outcome.status == "done" and outcome.seconds > 0:
            per_epoch = outcome.seconds / spec.config.train.epochs
            self._seen[spec.config_id] = max(outcome.seconds, self._seen.get(spec.config_id, 0.0))
            self._per_epoch[_kind(spec)] = max(per_epoch, self._per_epoch.get(_kind(spec), 0.0))

    def expected(self, spec: RunSpec) -> float | None:
        """Seconds of a run: as seen, as forecast, or as of the same model on the same cells; else None."""
        if spec.config_id in self._seen:
            return self._seen[spec.config_id]
        if spec.config_id in self._forecast:
            return self._forecast[spec.config_id]
        per_epoch = self._per_epoch.get(_kind(spec))
        return None if per_epoch is None else per_epoch * spec.config.train.epochs


def _kind(spec: RunSpec) -> tuple[str, str]:
    return spec.config.model.name, str(spec.shelf)


class Deadline:
    """The time that a task has.

    Parameters
    ----------
    left
        Seconds from now to the warning.
    whole
        Seconds from the start of a fresh task to its warning.
    """

    def __init__(self, left: float, whole: float) -> None:
        self._end = time.monotonic() + left
        self._whole = whole

    def admits(self, expected: float | None) -> bool:
        """Whether to start a run of so many seconds.

        One of unknown length is started; so is one that no fresh task could finish either: it goes on from
        its checkpoint in as many tasks as it needs.
        """
        if expected is None or expected > self._whole:
            return True
        return time.monotonic() + expected <= self._end
