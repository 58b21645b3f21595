"""A plan in words and in numbers."""

from collections import Counter

from bie.data.cells import Cells
from bie.sweep.datasets import Datasets
from bie.sweep.plan import Plan


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


def outline(plan: Plan, datasets: Datasets) -> list[str]:
    """The plan in lines: grid points with their runs, what was dropped and why, what is done."""
    per_point = Counter(index for index, _ in plan.runs)
    lines, dataset = [], None
    for index, point in sorted(enumerate(plan.points), key=lambda item: item[1].dataset):
        if point.dataset != dataset:
            dataset = point.dataset
            lines.append(f"{dataset} ({_size(datasets[point.config.dataset])})")
        name = point.title.removeprefix(f"{dataset} ")
        lines.append(f"  {name:<40} {_runs(per_point[index]):>11}")
    return [*lines, *_sums(plan)]


def _size(cells: Cells) -> str:
    return f"{cells.n_cells:,} cells x {cells.n_genes:,} genes, {cells.n_batches} batches"


def _sums(plan: Plan) -> list[str]:
    dropped = plan.dropped.total()
    total = _runs(len(plan.runs))
    lines = [f"{total} = {len(plan.runs) + dropped:,} combinations - {dropped:,}" if dropped else total]
    lines += [f"  {n:,} dropped: {reason}" for reason, n in plan.dropped.items()]
    order = "; order: seed by seed, so a stopped sweep is still a fair table" if len(plan.todo) > 1 else ""
    return [*lines, f"  {len(plan.done):,} done already, {len(plan.todo):,} to do{order}"]


def _runs(n: int) -> str:
    return f"{n:,} run{'s' * (n != 1)}"
