"""A plan in words and in numbers."""

from collections import Counter

from bie import kinds
from bie.config import Data
from bie.planning.datasets import Datasets
from bie.planning.expand import Expansion
from bie.planning.plan import Plan
from bie.store.record import asked_for, lacking

WIDEST = 100
"""Characters of the longest name of a grid point after which the numbers of runs still stand in a column."""
MOST_HEADINGS = 10
"""Data sets of one name of which a plan says the size."""


def as_json(plan: Plan, jobs: int, waves: int) -> dict[str, object]:
    """The plan in numbers. A job is a task of an array; on this machine, a worker process."""
    todo = len(plan.todo)
    return {
        "runs": len(plan.runs),
        "done": len(plan.done),
        "todo": todo,
        "dropped": [{"reason": reason, "count": n} for reason, n in plan.dropped.items()],
        "jobs": jobs,
        "waves": waves,
    }


def said_of(expansion: Expansion, plan: Plan, datasets: Datasets) -> list[str]:
    """All that a plan says before anything starts, in lines."""
    notes = [*unsaved(plan), *without_effect(expansion, plan), *expansion.notes]
    return [*outline(plan, datasets), *notes]


def outline(plan: Plan, datasets: Datasets) -> list[str]:
    """The plan in lines: grid points with their runs, what was dropped and why, what is done."""
    per_point = Counter(index for index, _ in plan.runs)
    names = [point.title.removeprefix(f"{point.dataset} ") for point in plan.points]
    width = min(max(map(len, names), default=0), WIDEST)
    lines, dataset = [], None
    for index, point in sorted(enumerate(plan.points), key=lambda item: item[1].dataset):
        if point.dataset != dataset:
            dataset = point.dataset
            lines += _headings(datasets, dataset, plan)
        lines.append(f"  {names[index]:<{width}} {_runs(per_point[index]):>11}")
    absent = {p.dataset for p in plan.points if datasets.to_download(p.config.dataset)}
    unknown = [f"  what is done of {', '.join(sorted(absent))} cannot be told before"] if absent else []
    return [*lines, *_sums(plan), *unknown]


def _headings(datasets: Datasets, name: str, plan: Plan) -> list[str]:
    """What there is to know of the cells behind a name: several files may have one, or several sizes."""
    sections = dict.fromkeys(point.config.dataset for point in plan.points if point.dataset == name)
    said = list(dict.fromkeys(tuple(_about(datasets, name, section)) for section in sections))
    more = len(said) - MOST_HEADINGS
    lines = [line for about in said[:MOST_HEADINGS] for line in about]
    return [*lines, f"{name} ({more:,} more of other sizes, or with other notes)"] if more > 0 else lines


def _about(datasets: Datasets, name: str, section: Data) -> list[str]:
    """Size of a dataset and what there is to know of it, or what it would need."""
    if wanted := datasets.to_download(section):
        return [f"{name} (to download: {wanted}; bie data fetch {section.source})"]
    if kind := kinds.of(section):
        return [f"{name} ({kind.about(section)})"]
    cells = datasets[section]
    size = f"{cells.n_cells:,} cells x {cells.n_genes:,} genes, {cells.n_batches} batches"
    return [f"{name} ({size})", *(f"  note: {note}" for note in cells.notes)]


def _sums(plan: Plan) -> list[str]:
    dropped = plan.dropped.total()
    total = _runs(len(plan.runs))
    lines = [f"{total} = {len(plan.runs) + dropped:,} combinations - {dropped:,}" if dropped else total]
    lines += [f"  {n:,} dropped: {reason}" for reason, n in plan.dropped.items()]
    order = "; order: seed by seed, so a stopped sweep is still a fair table" if len(plan.todo) > 1 else ""
    stale = f" ({len(plan.stale):,} of them again, as other code did them)" if plan.stale else ""
    n_left_out = len(plan.runs) - len(plan.done) - len(plan.todo)
    left_out = f", {n_left_out:,} not needed: decided" if n_left_out else ""
    return [*lines, f"  {len(plan.done):,} done already, {len(plan.todo):,} to do{stale}{left_out}{order}"]


def _runs(n: int) -> str:
    return f"{n:,} run{'s' * (n != 1)}"


def without_effect(expansion: Expansion, plan: Plan) -> list[str]:
    """Typed keys that do not act on some choice, a line each; the study's own are meant to be so.

    Where that made combinations the same experiment, the lines on what was dropped say it already.
    """
    said = {reason for reasons in plan.dropped for reason in reasons.split("; ")}
    causes: dict[str, dict[str, None]] = {}
    for combination in expansion.combinations:
        for (key, cause), reason in zip(combination.inactive.items(), combination.reasons, strict=True):
            if key in expansion.typed and reason not in said:
                causes.setdefault(key, {})[cause] = None
    return [f"{key} has no effect where {', '.join(found)}" for key, found in causes.items()]


def unsaved(plan: Plan) -> list[str]:
    """Files that are asked for and that finished runs lack, a line for each kind.

    What to save is no part of a run's identity: such a run is the same one, whose record stays.
    """
    without: Counter[tuple[str, str]] = Counter()
    for index, seed in plan.incomplete:
        point = plan.points[index]
        keys, folder = asked_for(point.config), plan.folder((index, seed))
        without.update((keys[name], name) for name in lacking(folder, point.config))
    return [
        f"{key}=true: {_runs(n)} of these finished without {name}; trained anew for it, and it is kept where "
        "all numbers are those of the record, which stays"
        for (key, name), n in sorted(without.items())
    ]
