"""How long runs take: as forecast from the records of earlier runs, and as seen since; times in words."""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.store.identity import SHOWN, canonical
from bie.store.paths import Tree, studies_beside
from bie.store.record import RECORD, read

if TYPE_CHECKING:
    from bie.config import Data, RunConfig
    from bie.planning.plan import Plan, Point

SAMPLE = 20  # records that count
MOST_READ, MOST_COMPARED = 1000, 200  # grid points: a tree may hold many, and on other cells
MOST = 4  # settings named before "..."


@dataclass(frozen=True)
class Cost:
    """What one earlier run took; several grid points may learn from the same one."""

    path: Path
    per_epoch: float
    once: float
    size: int

    def seconds(self, epochs: int) -> float:
        """What a run of so many epochs would take: scores take as long after few."""
        return self.once + epochs * self.per_epoch


@dataclass(frozen=True)
class Known:
    """What is known of a grid point's cost: earlier runs, and the settings in which they are others."""

    costs: list[Cost]
    other: frozenset[str] = frozenset()


def seconds_per_run(plan: "Plan") -> dict[int, float]:
    """Expected seconds of a run, by index of the points with something to do, where earlier runs tell."""
    known = _known(plan).items()
    return {index: _mean(found.costs, plan.points[index]) for index, found in known if found.costs}


def _known(plan: "Plan") -> dict[int, Known]:
    earlier = _Earlier(plan.tree)
    return {index: earlier.known(plan.points[index]) for index in {index for index, _ in plan.todo}}


def _mean(costs: list[Cost], point: "Point") -> float:
    return statistics.fmean(cost.seconds(_epochs(point.plain)) for cost in costs)


def forecast(plan: "Plan", workers: int) -> str:
    """One line: time on this many workers and disk of the runs to do.

    A grid point is judged by its own earlier runs; without any, by those of its model on the same cells that
    differ in the fewest settings, which are named, then of any model on the same cells, their training in
    proportion to the epochs; of this study, then of those beside it. What trains is judged by what trained.
    """
    todo = Counter(index for index, _ in plan.todo)
    if not todo:
        return "nothing to do"
    known = _known(plan)
    if not all(found.costs for found in known.values()):
        return "no forecast: no earlier records on these cells (run each model on them, few epochs do)"
    seconds, size = 0.0, 0.0
    for index, n in todo.items():
        seconds += n * _mean(known[index].costs, plan.points[index])
        size += n * statistics.fmean(cost.size for cost in known[index].costs)
    n_known = len({cost.path for found in known.values() for cost in found.costs})
    other = sorted({key for found in known.values() for key in found.other})
    differ = f", which differ in {', '.join(other[:MOST])}{', ...' * (len(other) > MOST)}" if other else ""
    each = duration(seconds / todo.total())
    total = f"{duration(seconds / workers)} on {workers} workers, {_size(size)}"
    return f"forecast from {n_known} earlier runs{differ}: {each} each, {total}"


def _size(n_bytes: float) -> str:
    """Disk in the unit that people use.

    >>> _size(3_200), _size(31_400_000), _size(2_500_000_000)
    ('3 kB', '31 MB', '2.5 GB')
    """
    if n_bytes < 1e6:
        return f"{max(n_bytes / 1e3, 1):.0f} kB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


class _Earlier:
    """Costs of earlier runs, of this study and then of those beside it; each record is read once."""

    def __init__(self, tree: Tree) -> None:
        self._trees = studies_beside(tree)
        self._names, self._points, self._sample = cache(Tree.config_names), cache(_points), cache(_sample)

    def known(self, point: "Point") -> Known:
        """Costs of the point; without any, of what is most like it of its model, then of any model."""
        own = point.config_id[:SHOWN]
        for tree in self._trees:
            if own in self._names(tree, point.dataset, point.model):
                folder = tree.config_dir(point.dataset, point.model, own)
                if found := self._sample(folder):
                    return Known(found)
        kin, settings = _kin(point.plain), _settings(point.plain)
        for place in (f"{point.dataset}/{point.model}/*", f"{point.dataset}/*/*"):
            points = ((age, *p) for age, tree in enumerate(self._trees) for p in self._points(tree, place))
            others = [
                ((len(settings - theirs), age), theirs, folder)
                for age, folder, alike, theirs in points
                if alike == kin
            ][:MOST_COMPARED]
            if others:
                rank, theirs, _ = min(others, key=lambda other: other[0])
                costs = [cost for r, _, folder in others if r == rank for cost in self._sample(folder)]
                keys = dict(settings - theirs).keys() & dict(theirs).keys()  # an older record lacks some
                return Known(costs[:SAMPLE], frozenset({"model"} if "model.name" in keys else keys))
        return Known([])


def _settings(config: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Keys and values of what may make a run longer, cells and epochs apart: names, sizes, numbers of steps.

    Weights and rates, which are floats, change no cost.
    """
    sections = ((name, section) for name, section in config.items() if isinstance(section, Mapping))
    return frozenset(
        (f"{name}.{key}", canonical(value))
        for name, section in sections
        if name not in ("dataset", "split")
        for key, value in section.items()
        if key != "epochs" and not isinstance(value, float)
    )


def _epochs(plain: Mapping[str, Any]) -> int:
    """Epochs of a run; one that does not train counts as one."""
    return int((plain.get("train") or plain["model"]).get("epochs", 1))


def _data(config: Mapping[str, Any]) -> str:
    """What the costs of runs have in common: their cells; of data drawn for every seed, source and sizes."""
    dataset = config["dataset"]
    if dataset.get("unlabelled_sha256") != dataset["sha256"]:  # see `bie.kinds.content`
        return str(dataset["sha256"])
    return canonical([dataset["source"], {key: n for key, n in dataset.items() if key.startswith("n_")}])


def _points(tree: Tree, place: str) -> list[tuple[Path, tuple[str, bool], frozenset[tuple[str, str]]]]:
    """Folders of grid points, what their runs have in common, and their settings, by one record of each."""
    folders = itertools.islice(tree.runs.glob(place), MOST_READ)
    paths = (next(folder.glob(f"*/{RECORD}"), None) for folder in folders)
    records = ((path, read(path)) for path in paths if path)
    return [(p.parents[1], _kin(r["config"]), _settings(r["config"])) for p, r in records if r]


def _sample(folder: Path) -> list[Cost]:
    """Costs by a few records of a grid point."""
    records = ((path, read(path)) for path in folder.glob(f"*/{RECORD}"))
    return list(itertools.islice((_cost(path, record) for path, record in records if record), SAMPLE))


def _kin(config: Mapping[str, Any]) -> tuple[str, bool]:
    return _data(config), "train" in config


def _cost(path: Path, record: Mapping[str, Any]) -> Cost:
    timing, size = record["timing"], sum(file.stat().st_size for file in path.parent.iterdir())
    fit_s = timing.get("fit_s", timing["total_s"])  # of an imported run the whole is known
    return Cost(path, fit_s / _epochs(record["config"]), max(timing["total_s"] - fit_s, 0.0), size)


def duration(seconds: float) -> str:
    """Time in the units that people use.

    >>> duration(7.2), duration(130), duration(5400)
    ('7 s', '2.2 min', '1 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.2g} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"


class RunTimes:
    """Seconds of a run by config_id: as forecast at the launch, and as seen since."""

    def __init__(self, forecast: Mapping[str, float]) -> None:
        self._forecast = dict(forecast)
        self._seen: dict[str, float] = {}
        self._per_epoch: dict[tuple[str, Data], float] = {}

    def learn(self, config_id: str, config: "RunConfig", seconds: float) -> None:
        """Note how long a finished run took: the longest of its kind counts."""
        kind, per_epoch = _kind(config), seconds / config.train.epochs
        self._seen[config_id] = max(seconds, self._seen.get(config_id, 0.0))
        self._per_epoch[kind] = max(per_epoch, self._per_epoch.get(kind, 0.0))

    def expected(self, config_id: str, config: "RunConfig") -> float | None:
        """Seconds of a run: as seen, as forecast, or as of the same model on the same cells; else None."""
        if config_id in self._seen:
            return self._seen[config_id]
        if config_id in self._forecast:
            return self._forecast[config_id]
        per_epoch = self._per_epoch.get(_kind(config))
        return None if per_epoch is None else per_epoch * config.train.epochs


def _kind(config: "RunConfig") -> "tuple[str, Data]":
    return config.model.name, config.dataset


class Deadline:
    """The time of a task: seconds `left` from now to its warning, of a `whole` that a fresh task has."""

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
