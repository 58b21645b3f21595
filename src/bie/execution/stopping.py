"""When a grid point gets no further seeds, where the study asks for it (`stop.*`): the rules, and their use.

A grid runs seed by seed, so that what stops is the adding of seeds. A grid point is decided by the records of
its runs and of the baseline's on the same splits, whoever made them; the decision is noted in its folder, and
its runs that have no record are not started. The baseline stops when all others have.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bie.config import Settings
from bie.errors import BadInput
from bie.execution.run_spec import RunSpec
from bie.store.identity import SHOWN, canonical
from bie.store.record import DECIDED, RECORD, as_json, read, write_file

if TYPE_CHECKING:  # a worker, which asks whether a run is wanted, plans nothing
    from bie.planning.plan import Plan, Point

Rules = Mapping[str, Mapping[str, Any]]
"""By config_id: the rule as plain values, as `wanted` reads it."""
_OVER = {"reason": "all comparisons with it are decided"}


def stop_rules(plan: "Plan", settings: Settings) -> Rules:
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


def decisions(plan: "Plan", rules: Rules) -> dict[int, Mapping[str, Any]]:
    """Grid points, by index, that the records that are there decide: what `wanted` would find, all at once.

    Where records are about to be set aside, nothing is decided yet.
    """
    if plan.stale:
        return {}
    runs, places = plan.tree.runs, [_place(point) for point in plan.points]
    ruled = {i: rules[point.config_id] for i, point in enumerate(plan.points) if point.config_id in rules}
    found: dict[int, Mapping[str, Any]] = {}
    for i, rule in ruled.items():
        row = None if "rivals" in rule else _of_row(runs / places[i], runs / rule["baseline"], rule)
        if row:
            found[i] = row
    over = {places[i] for i in found}
    return found | {i: _OVER for i, rule in ruled.items() if over.issuperset(rule.get("rivals", [""]))}


def _sign(metric: str) -> float:
    from bie.analysis.comparison import SIGNS
    from bie.metrics.cards import CARDS
    from bie.planning.keys import did_you_mean

    signs = {name: SIGNS[card.direction] for name, card in CARDS.items() if SIGNS[card.direction]}
    if metric not in signs:
        hint = did_you_mean(metric, list(signs))
        raise BadInput(f"stop.metric={metric}: it takes a metric that can be better or worse.{hint}")
    return signs[metric]


def _data_sets(plan: "Plan") -> "list[list[Point]]":
    """Grid points on the same cells and kind of split, which are compared with each other."""
    found: dict[str, list[Point]] = {}
    for point in plan.points:
        key = [point.dataset, point.plain["dataset"]["sha256"]]
        key += [point.plain.get("perturb"), point.plain.get("split")]  # sets and pairs lack these
        found.setdefault(canonical(key), []).append(point)
    return list(found.values())


def _baseline(points: "list[Point]", model: str) -> "Point":
    fitting = [point for point in points if point.model == model]
    if len(fitting) == 1 and len(points) > 1:
        return fitting[0]
    raise BadInput(
        f"stop: {len(fitting)} of {len(points)} grid points on {points[0].dataset} are {model}. It takes one "
        "to compare the others with: model=scvi,... without settings of its own, or study.baseline=MODEL"
    )


def _place(point: "Point") -> str:
    """Folder of a grid point, from ``runs/`` on."""
    return f"{point.dataset}/{point.model}/{point.config_id[:SHOWN]}"


def wanted(spec: RunSpec) -> bool:
    """Whether the grid point of a run is not decided yet; asked before it starts, on any machine."""
    if spec.stop is None:
        return True
    own, runs = spec.folder.parent, spec.folder.parents[3]
    if (own / DECIDED).exists():
        return False
    if "rivals" in spec.stop:
        found = _OVER if all((runs / place / DECIDED).exists() for place in spec.stop["rivals"]) else None
    else:
        found = _of_row(own, runs / spec.stop["baseline"], spec.stop)
    if found is None:
        return True
    own.mkdir(parents=True, exist_ok=True)
    write_file(own / DECIDED, as_json(found))
    return False


def _of_row(own: Path, baseline: Path, stop: Mapping[str, Any]) -> dict[str, Any] | None:
    from bie.analysis.baseline import absolute
    from bie.analysis.sequential import Rule, decide

    rule = Rule(**{field.name: stop[field.name] for field in fields(Rule)})
    row, base = _by_split(own, rule.metric), _by_split(baseline, rule.metric)
    common = row.keys() & base.keys()
    if not common:
        return None
    margin = absolute(stop["margin"], fmean(base[split] for split in common))
    found = decide([row[split] - base[split] for split in sorted(common)], rule, margin)
    return None if found is None else {"reason": str(found), **asdict(found)}


def _by_split(folder: Path, metric: str) -> dict[str, float]:
    """Mean of a metric on each split of a grid point."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in folder.glob(f"seed=*/{RECORD}"):
        split, values = _record(path)
        if (value := values.get(metric)) is not None:
            found[split].append(value)
    return {split: fmean(values) for split, values in found.items()}


@lru_cache(maxsize=100_000)
def _record(path: Path) -> tuple[str, Mapping[str, float | None]]:
    """Split and test metrics of a record, which never changes; nothing of one that cannot be read."""
    record = read(path) or {}
    return str(record.get("split_id")), (record.get("metrics") or {}).get("test") or {}
