"""The plan of a launch: which runs, in which order, which of them are done, what was dropped and why."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import methodcaller
from pathlib import Path
from typing import Any

from bie.config import RunConfig
from bie.planning.expand import Combination
from bie.schema import Section
from bie.store.identity import SHOWN, Identities, Once, canonical, scientific
from bie.store.launches import BEFORE, COLUMNS, TASK, planned_points
from bie.store.paths import Tree
from bie.store.provenance import source_sha256
from bie.store.record import RECORD, asked_for, done_seeds, lacking, read, set_aside


@dataclass(frozen=True)
class Point(Combination):
    """A grid point: a combination with its identity, the first of those that are the same experiment."""

    plain: dict[str, Any]  # scientific config without the seed
    config_id: str

    @property
    def dataset(self) -> str:
        """Name of the dataset in tables and folders."""
        return self.config.dataset.name

    @property
    def model(self) -> str:
        """Name of the model in tables and folders."""
        return self.config.model.name

    @property
    def title(self) -> str:
        """One line for people: dataset, model, swept values."""
        return " ".join([self.dataset, self.model, *(f"{key}={_short(v)}" for key, v in self.grid.items())])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


PlannedRun = tuple[int, int]
"""Index of the grid point, seed."""


@dataclass(frozen=True)
class Plan:
    """Distinct runs of a launch."""

    tree: Tree
    points: list[Point] = field(default_factory=list)  # distinct, in the order typed
    runs: list[PlannedRun] = field(default_factory=list)  # seed by seed: each beginning is a balanced table
    done: set[PlannedRun] = field(default_factory=set)  # with a record, and the files that are asked for
    incomplete: set[PlannedRun] = field(default_factory=set)  # with a record that lacks such a file: to do
    dropped: Counter[str] = field(
        default_factory=Counter
    )  # reasons why combinations are no runs of their own
    stale: set[PlannedRun] = field(
        default_factory=set
    )  # done by other code and to do again, not among `done`
    decided: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """By index of the point: why it gets no further seeds (`bie.execution.stopping.decisions`)."""

    def folder(self, run: PlannedRun) -> Path:
        """Where a run leaves its record."""
        point = self.points[run[0]]
        return self.tree.run_dir(point.dataset, point.model, point.config_id, run[1])

    @property
    def todo(self) -> list[PlannedRun]:
        """Runs that are not done and that somebody wants, in order."""
        wanted = (run for run in self.runs if run[0] not in self.decided or run in self.incomplete)
        return [run for run in wanted if run not in self.done]

    def columns(self) -> dict[str, list[Any]]:
        """The plan as columns of ``plan.parquet``, each of the runs to do a task of its own."""
        fixed = [(p.dataset, p.model, p.config_id) for p in self.points]
        texts = [(canonical(p.grid), json.dumps(p.plain, ensure_ascii=False)) for p in self.points]
        run_id = Identities().run_id
        ids = (run_id(self.points[i].plain, seed) for i, seed in self.runs)
        rows = ((*fixed[i], seed, name, *texts[i]) for (i, seed), name in zip(self.runs, ids, strict=True))
        columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
        place = {run: i for i, run in enumerate(self.todo)}
        tasks = [place.get(run, BEFORE) for run in self.runs]
        return {**dict(zip(COLUMNS, map(list, columns), strict=True)), TASK: tasks}


def make_plan(
    combinations: Sequence[Combination],
    content: Callable[[RunConfig], Mapping[str, str]],
    tree: Tree,
    rerun: str | None = None,
) -> Plan:
    """Merge combinations that are the same experiment and look up which runs are done.

    `content` gives the hashes of the cells of a configuration (`bie.data.cells.Cells.hashes`); with `rerun`
    ``stale`` what was done by other code is to be done again.
    """
    plan = Plan(tree)
    seeds_of: dict[int, dict[int, None]] = {}
    index: dict[str, int] = {}
    read, identities = Once[Section, dict[str, Any]](methodcaller("scientific")), Identities()
    cells: dict[int, dict[str, Any]] = {}  # of a section, which the configurations keep
    place: dict[int, int] = {}  # of an object that stands for several combinations
    for combination in combinations:
        if id(combination) not in place:
            plain = scientific(combination.config, content(combination.config), read)
            del plain["seed"]
            plain["dataset"] = cells.setdefault(id(combination.config.dataset), plain["dataset"])
            identity = identities.config_id(plain)
            if identity not in index:
                index[identity] = len(plan.points)
                plan.points.append(Point(**vars(combination), plain=plain, config_id=identity))
                seeds_of[index[identity]] = {}
            place[id(combination)] = index[identity]
        _add_seeds(seeds_of[place[id(combination)]], combination, plan.dropped)
    plan.runs.extend(_seed_major(seeds_of))
    recorded = _recorded(plan)
    if rerun == "stale":
        plan.stale.update(run for run in recorded if _is_stale(plan.folder(run)))
        recorded -= plan.stale
    plan.incomplete.update(run for run in recorded if _lacks(plan, run))
    plan.done.update(recorded - plan.incomplete)
    return plan


def _is_stale(folder: Path) -> bool:
    """Whether the record in a folder was made by other code than this, or does not tell."""
    made_by = (read(folder / RECORD) or {}).get("provenance") or {}
    return made_by.get("source_sha256") != source_sha256()


def set_stale_aside(plan: Plan) -> None:
    """Make room for the runs that are to be done again; to be called when they are about to start."""
    for run in sorted(plan.stale):
        set_aside(plan.folder(run))


def _add_seeds(known: dict[int, None], combination: Combination, dropped: Counter[str]) -> None:
    """Add the new seeds of a combination; count the others with the reason."""
    fresh = [seed for seed in dict.fromkeys(combination.seeds) if seed not in known]
    repeated = len(combination.seeds) - len(dict.fromkeys(combination.seeds))
    merged = len(combination.seeds) - repeated - len(fresh)
    known.update(dict.fromkeys(fresh))
    if repeated:
        dropped["a seed given more than once"] += repeated
    if merged:
        dropped["; ".join(combination.reasons) or "the same experiment as another combination"] += merged


def _seed_major(seeds_of: Mapping[int, Mapping[int, None]]) -> list[PlannedRun]:
    """All points at the first seed, then all at the second, ... Seeds in the order given."""
    points_of: dict[int, list[int]] = {}
    for point, seeds in seeds_of.items():
        for seed in seeds:
            points_of.setdefault(seed, []).append(point)
    return [(point, seed) for seed, points in points_of.items() for point in points]


def _lacks(plan: Plan, run: PlannedRun) -> bool:
    """Whether a run has not left all files that are asked for."""
    config = plan.points[run[0]].config
    return bool(asked_for(config) and lacking(plan.folder(run), config))


def _recorded(plan: Plan) -> set[PlannedRun]:
    names = cache(plan.tree.config_names)  # a plan of 100,000 grid points asks for few folders
    found = {
        index: done_seeds(plan.tree.config_dir(point.dataset, point.model, point.config_id))
        for index, point in enumerate(plan.points)
        if point.config_id[:SHOWN] in names(point.dataset, point.model)
    }
    return {(index, seed) for index, seed in plan.runs if seed in found.get(index, ())}


def check_baseline(wanted: str | None, plan: Plan) -> None:
    """Look for ``study.baseline`` among the rows that are asked for now and those of earlier launches.

    Without one it is whatever `bie.analysis.baseline.baselines` takes by default.

    Raises
    ------
    BadInput
        No row is that.
    """
    if wanted is None:
        return
    from bie.analysis.baseline import fitting, no_such_row
    from bie.analysis.grid import flat

    asked = {point.config_id: flat(point.plain) | {"model": point.model} for point in plan.points}
    if fitting(asked, wanted):
        return
    before = planned_points(plan.tree)
    known = {name: flat(json.loads(row["config"])) | {"model": row["model"]} for name, row in before.items()}
    if not fitting(known, wanted):
        raise no_such_row(wanted, (point.title.partition(" ")[2] for point in plan.points))
