"""What stops the seeds of each grid point, where the study asks for it (`stop.*`)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bie.config import Settings
from bie.errors import BadInput
from bie.planning.compose import did_you_mean
from bie.planning.plan import Plan, Point
from bie.store.identity import SHOWN, canonical

Rules = Mapping[str, Mapping[str, Any]]
"""By config_id: the rule as plain values, as `bie.execution.wanted.wanted` reads it."""


def stop_rules(plan: Plan, settings: Settings) -> Rules:
    """Rules of all grid points that have a baseline, and of the baselines; none where nothing stops.

    Raises
    ------
    BadInput
        No such metric, none of which a direction is better, or no single baseline to compare with.
    """
    stop = settings.stop
    if not stop.acts:
        return {}
    from bie.analysis.grid import BASELINE
    from bie.analysis.sequential import Rule

    sign = _sign(stop.metric)
    found: dict[str, Mapping[str, Any]] = {}
    for points in _data_sets(plan):
        base = _baseline(points, settings.study.baseline or BASELINE)
        rivals = [point for point in points if point is not base]
        rule = Rule(stop.metric, sign, len(rivals), stop.verdict, stop.half_width)
        about = {"baseline": _place(base), "margin": settings.study.margins.get(stop.metric), **asdict(rule)}
        found |= dict.fromkeys((point.config_id for point in rivals), about)
        found[base.config_id] = {"rivals": [_place(point) for point in rivals]}
    return found


def _sign(metric: str) -> float:
    from bie.analysis.comparison import SIGNS
    from bie.metrics.cards import CARDS

    signs = {name: SIGNS[card.direction] for name, card in CARDS.items() if SIGNS[card.direction]}
    if metric not in signs:
        hint = did_you_mean(metric, list(signs))
        raise BadInput(f"stop.metric={metric}: it takes a metric that can be better or worse.{hint}")
    return signs[metric]


def _data_sets(plan: Plan) -> list[list[Point]]:
    """Grid points on the same cells and kind of split, which are compared with each other."""
    found: dict[str, list[Point]] = {}
    for point in plan.points:
        key = [point.dataset, point.plain["dataset"]["sha256"]]
        key += [point.plain.get("perturb"), point.plain["split"]]
        found.setdefault(canonical(key), []).append(point)
    return list(found.values())


def _baseline(points: list[Point], model: str) -> Point:
    fitting = [point for point in points if point.model == model]
    if len(fitting) == 1 and len(points) > 1:
        return fitting[0]
    raise BadInput(
        f"stop: {len(fitting)} of {len(points)} grid points on {points[0].dataset} are {model}. It takes one "
        "to compare the others with: model=scvi,... without settings of its own, or study.baseline=MODEL"
    )


def _place(point: Point) -> str:
    """Folder of a grid point, from ``runs/`` on."""
    return f"{point.dataset}/{point.model}/{point.config_id[:SHOWN]}"
