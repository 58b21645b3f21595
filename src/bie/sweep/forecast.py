"""How long a plan will take and how much disk, from the records of earlier runs."""

import itertools
import json
import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bie.store.paths import Tree
from bie.store.record import RECORD
from bie.sweep.plan import Plan
from bie.sweep.progress import duration

SAMPLE = 20


def forecast(plan: Plan, tree: Tree, workers: int) -> str:
    """One line: time on this many workers and disk of the runs to do.

    A grid point without records of its own is guessed from the model's other grid points, a model
    without any from all models.
    """
    todo = Counter(index for index, _ in plan.todo)
    if not todo:
        return "nothing to do"
    folders = [tree.config_dir(p.dataset, p.model, p.config_id) for p in plan.points]
    own = {index: _sample(folders[index].glob(f"*/{RECORD}")) for index in todo}
    model = {index: _sample(folders[index].parent.glob(f"*/*/{RECORD}")) for index in todo if not own[index]}
    everything = _sample(tree.runs.glob(f"*/*/*/*/{RECORD}"))
    guesses = {index: own[index] or model.get(index) or everything for index in todo}
    if not all(guesses.values()):
        return "no forecast: no earlier records of this study to learn from"
    seconds = sum(n * statistics.fmean(s for s, _ in guesses[index]) for index, n in todo.items())
    size = sum(n * statistics.fmean(b for _, b in guesses[index]) for index, n in todo.items())
    n_known = len({id(item) for guess in guesses.values() for item in guess})
    each = duration(seconds / sum(todo.values()))
    total = f"{duration(seconds / workers)} on {workers} workers, {size / 1e6:,.1f} MB"
    return f"forecast from {n_known} earlier runs: {each} each, {total}"


def _sample(paths: Iterable[Path]) -> list[tuple[float, int]]:
    """Seconds and bytes of the first few runs found."""
    return [
        (
            json.loads(path.read_bytes())["timing"]["total_s"],
            sum(f.stat().st_size for f in path.parent.iterdir()),
        )
        for path in itertools.islice(paths, SAMPLE)
    ]
