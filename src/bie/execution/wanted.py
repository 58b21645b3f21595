"""Is a run still wanted? Asked before it starts, on any machine, where a study stops when decided (`stop.*`).

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
from typing import Any

from bie.execution.run_spec import RunSpec
from bie.store.record import DECIDED, RECORD, as_json, read, write_file


def wanted(spec: RunSpec) -> bool:
    """Whether the grid point of a run is not decided yet."""
    if spec.stop is None:
        return True
    own, runs = spec.folder.parent, spec.folder.parents[3]
    if (own / DECIDED).exists():
        return False
    if "rivals" in spec.stop:
        found = _of_baseline([runs / place for place in spec.stop["rivals"]])
    else:
        found = _of_row(own, runs / spec.stop["baseline"], spec.stop)
    if found is None:
        return True
    own.mkdir(parents=True, exist_ok=True)
    write_file(own / DECIDED, as_json(found))
    return False


def _of_baseline(rivals: list[Path]) -> dict[str, Any] | None:
    if all((rival / DECIDED).exists() for rival in rivals):
        return {"reason": "all comparisons with it are decided"}
    return None


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
