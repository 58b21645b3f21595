"""How long a plan will take and how much disk, from the records of earlier runs."""

import itertools
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bie.store.paths import Tree
from bie.store.record import RECORD, read
from bie.sweep.plan import Plan, Point
from bie.sweep.progress import duration

SAMPLE = 20


@dataclass(frozen=True)
class Cost:
    """What one earlier run took."""

    seconds_per_epoch: float
    size: int


def seconds_per_run(plan: Plan, tree: Tree) -> dict[int, float]:
    """Expected seconds of a run, by index of the points with something to do, where earlier runs tell."""
    expected = {}
    for index in {index for index, _ in plan.todo}:
        point = plan.points[index]
        if costs := _costs(point, tree):
            expected[index] = point.config.train.epochs * _mean(costs)
    return expected


def _mean(costs: list[Cost]) -> float:
    return statistics.fmean(cost.seconds_per_epoch for cost in costs)


def forecast(plan: Plan, tree: Tree, workers: int) -> str:
    """One line: time on this many workers and disk of the runs to do.

    A grid point is judged by its own earlier runs; without any, by those of its model on the same cells,
    then of any model on the same cells, in proportion to the epochs.
    """
    todo = Counter(index for index, _ in plan.todo)
    if not todo:
        return "nothing to do"
    costs = {index: _costs(plan.points[index], tree) for index in todo}
    if not all(costs.values()):
        return "no forecast: no earlier records on these cells to learn from"
    seconds, size = 0.0, 0.0
    for index, n in todo.items():
        epochs = plan.points[index].config.train.epochs
        seconds += n * epochs * _mean(costs[index])
        size += n * statistics.fmean(cost.size for cost in costs[index])
    known = len({id(cost) for found in costs.values() for cost in found})
    each = duration(seconds / todo.total())
    total = f"{duration(seconds / workers)} on {workers} workers, {size / 1e6:,.1f} MB"
    return f"forecast from {known} earlier runs: {each} each, {total}"


def _costs(point: Point, tree: Tree) -> list[Cost]:
    own = tree.config_dir(point.dataset, point.model, point.config_id)
    places = ((own, "*"), (own.parent, "*/*"), (own.parent.parent, "*/*/*"))
    sha256 = point.plain["dataset"]["sha256"]
    return next((found for folder, depth in places if (found := _sample(folder, depth, sha256))), [])


def _sample(folder: Path, depth: str, sha256: str) -> list[Cost]:
    """Costs of the first few runs found that were on the same cells."""
    records = ((path, read(path)) for path in itertools.islice(folder.glob(f"{depth}/{RECORD}"), SAMPLE))
    return [
        Cost(
            record["timing"]["total_s"] / record["config"]["train"]["epochs"],
            sum(file.stat().st_size for file in path.parent.iterdir()),
        )
        for path, record in records
        if record and record["config"]["dataset"]["sha256"] == sha256
    ]
