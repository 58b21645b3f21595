"""Floor and ceiling of every metric: the worst and the best of the controls on the same cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bie.analysis.grid import known_score
from bie.analysis.paired import ALPHA
from bie.analysis.study import Study
from bie.metrics.cards import CARDS

Rows = Mapping[tuple[str, str], Mapping[Any, Any]]  # by config_id and metric: mean, sd, n


def is_control(study: Study, config: str) -> bool:
    """Whether a grid point is one of which it is known what it must score."""
    return known_score(study.configs.get(config, {}))


@dataclass(frozen=True)
class Rescaled:
    """A mean on the scale of the controls, with its 95 % interval; NaN where there is no such scale."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """Between which controls each metric lies.

    Attributes
    ----------
    floor, ceiling
        ``config_id`` of the control with the worst and with the best mean, by metric.
    rows
        Means, spreads and counts.
    """

    floor: Mapping[str, str]
    ceiling: Mapping[str, str]
    rows: Rows

    def of_one_run(self, metric: str) -> bool:
        """Whether worst or best control has a single run: nobody knows whether they differ but by chance."""
        ends = {of[metric] for of in (self.floor, self.ceiling) if metric in of}
        return len(ends) > 1 and any(self.rows[control, metric]["n"] == 1 for control in ends)

    def spans(self, metric: str) -> bool:
        """Whether worst and best control differ: of two that mix, neither is a floor of mixing."""
        if metric not in self.floor or self.floor[metric] == self.ceiling[metric] or self.of_one_run(metric):
            return False
        floor, ceiling = (self.rows[c, metric] for c in (self.floor[metric], self.ceiling[metric]))
        width = ceiling["mean"] - floor["mean"]
        gap = _interval(abs(width), [_part(floor, 1.0), _part(ceiling, 1.0)])
        return bool(width != 0 and not gap.low <= 0)

    def rescaled(self, config: str, metric: str) -> Rescaled:
        """(value - floor) / (ceiling - floor), as in OpenProblems; the spread of all three is carried on.

        The variance is that of the first-order expansion, the three means taken to be independent, its
        degrees of freedom those of Welch and Satterthwaite.
        """
        if not self.spans(metric):
            return Rescaled(math.nan, math.nan, math.nan)
        value, floor, ceiling = (
            self.rows[c, metric] for c in (config, self.floor[metric], self.ceiling[metric])
        )
        width = ceiling["mean"] - floor["mean"]
        mean = (value["mean"] - floor["mean"]) / width
        if config in (self.floor[metric], self.ceiling[metric]):
            return Rescaled(mean, math.nan, math.nan)  # 0 or 1 by definition
        parts = (_part(value, 1 / width), _part(floor, (1 - mean) / width), _part(ceiling, mean / width))
        return _interval(mean, parts)


def _part(row: Mapping[Any, Any], weight: float) -> tuple[float, int]:
    """Variance that a mean adds, and its degrees of freedom."""
    return (weight * row["sd"]) ** 2 / row["n"], row["n"] - 1


def _interval(mean: float, parts: Sequence[tuple[float, int]]) -> Rescaled:
    from scipy.special import stdtrit

    variance = sum(part for part, _ in parts)
    if not variance > 0:  # NaN where one of them has a single run
        return Rescaled(mean, math.nan, math.nan)
    df = variance**2 / sum(part**2 / n for part, n in parts if n)
    half = float(stdtrit(df, 1 - ALPHA / 2)) * math.sqrt(variance)
    return Rescaled(mean, mean - half, mean + half)


def scale_of(study: Study, configs: Iterable[str], rows: Rows) -> Scale | None:
    """Scale that the controls among some grid points span; None where there are fewer than two.

    Parameters
    ----------
    configs
        Grid points on the same cells.
    rows
        ``mean``, ``sd`` and ``n`` by ``config_id`` and metric.
    """
    controls = [config for config in configs if is_control(study, config)]
    if len(controls) < 2:
        return None
    floor, ceiling = {}, {}
    for metric in dict.fromkeys(metric for _, metric in rows):
        sign = {"higher": 1, "lower": -1}.get(CARDS[metric].direction if metric in CARDS else "none")
        found = [c for c in controls if rows[c, metric]["n"]]
        if sign and found:
            ordered = sorted(found, key=lambda c: sign * rows[c, metric]["mean"])
            floor[metric], ceiling[metric] = ordered[0], ordered[-1]
    return Scale(floor, ceiling, rows)
