"""Everything that is known of a study: the runs that were asked for, and what became of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.grid import Plain, describe_cells, flat
from bie.metrics.cards import CARDS
from bie.store.identity import SHOWN
from bie.store.launches import asked_of, planned
from bie.store.paths import Tree
from bie.store.record import FAILED, RECORD, read_all

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "test")
NOT_RECORDED = "not in the record"
UNKNOWN = "unknown"  # cause of a failure whose file does not tell

Key = tuple[str, str]  # split, metric


@dataclass(frozen=True)
class Study:
    """The runs of a study and their numbers, in the order of the tables.

    Attributes
    ----------
    name
        Of the study.
    cells
        A row per grid point, indexed by ``config_id``: ``dataset``, ``model`` and the keys of `grid`.
    grid
        Dotted names of the settings that tell the grid points apart.
    runs
        A row per run that was asked for or found: ``config_id``, ``dataset``, ``model``, ``seed``,
        ``state`` (done, failed, unreadable or missing), ``cause`` and ``where`` of a failure; of a finished
        run also ``run_id``, ``split_id``, ``code``, ``packages`` and ``seconds`` (wall time).
    values
        Numbers of the rows of `runs`, columns (split, metric); NaN where there is none.
    reasons
        Why a number of a finished run is missing; None elsewhere. Rows and columns of `values`.
    configs
        Flat settings of each ``config_id``, the seed left out; empty where they are not known.
    asked
        Section ``study`` of the newest launch's settings; empty for a tree without a launch that tells.
    """

    name: str
    cells: "pd.DataFrame"
    grid: tuple[str, ...]
    runs: "pd.DataFrame"
    values: "pd.DataFrame"
    reasons: "pd.DataFrame"
    configs: Mapping[str, Plain] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_read(self) -> bool:
        """Whether every record and failure could be read; what could not may be readable the next time."""
        unread = (self.runs["state"] == "unreadable") | (self.runs["cause"] == UNKNOWN)
        return not unread.any()


@dataclass
class _Found:
    """What the tree holds, in the order read: finished runs first, so that they come before their plan."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    values: list[dict[Key, float]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    configs: dict[str, Plain] = field(default_factory=dict)
    grids: dict[str, Plain] = field(default_factory=dict)
    packages: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict)


def read_study(tree: Tree) -> Study:
    """Read all records, failures and plans of a study.

    A record that cannot be read is a run in the state ``unreadable``, not an error.
    """
    import pandas as pd

    found = _Found()
    unreadable = _read_records(tree, found)
    _read_plan(tree, found)
    full_ids = {row["config_id"][:SHOWN]: row["config_id"] for row in found.rows}
    for path, failure in read_all(tree, FAILED):
        cause = str((failure or {}).get("cause", UNKNOWN))
        found.rows.append(_row_of_path(tree, path, full_ids, "failed", cause))
    found.rows += [_row_of_path(tree, path, full_ids, "unreadable", "") for path in unreadable]
    runs = _one_row_per_run(pd.DataFrame(found.rows, columns=list(_COLUMNS)))
    cells = describe_cells(runs, found.configs, found.grids)
    runs = _in_order_of(cells, runs)
    values, reasons = _numbers(found, runs.index)
    grid = tuple(cells.columns[2:])
    runs, values, reasons = (frame.reset_index(drop=True) for frame in (runs, values, reasons))
    name = tree.root.resolve().name
    return Study(name, cells, grid, runs, values, reasons, found.configs, asked_of(tree))


_COLUMNS = (
    *("config_id", "dataset", "model", "seed", "state", "cause", "where"),
    *("run_id", "split_id", "code", "packages", "seconds"),
)
_STATES = ("done", "unreadable", "failed", "missing")  # of a run with several rows the first counts


def _read_records(tree: Tree, found: _Found) -> list[Path]:
    """Collect the finished runs; the paths of records that cannot be read are returned."""
    unreadable = []
    for path, record in read_all(tree, RECORD):
        try:
            row, values, missing = _parse(record or {})
        except (KeyError, TypeError, ValueError, AttributeError):
            unreadable.append(path)
            continue
        packages = found.packages.setdefault(row["packages"], row["packages"])  # one copy, not one per run
        found.rows.append(row | {"packages": packages})
        found.values.append(values)
        found.missing.append(missing)
        if row["config_id"] not in found.configs:
            found.configs[row["config_id"]] = flat(record["config"])  # type: ignore[index]
    return unreadable


def _parse(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Key, float], dict[str, str]]:
    config, origin = record["config"], record["provenance"]
    row = {
        "config_id": str(record["config_id"]),
        "dataset": str(config["dataset"]["name"]),
        "model": str(config["model"]["name"]),
        "seed": int(record["seed"]),
        "state": "done",
        "cause": "",
        "where": "",
        "run_id": str(record["run_id"]),
        "split_id": str(record["split_id"]),
        "code": code_version(origin),
        "packages": tuple(sorted({"python": origin.get("python"), **origin.get("packages", {})}.items())),
        "seconds": float(record.get("timing", {}).get("total_s") or "nan"),
    }
    values = {
        (split, str(name)): float("nan") if value is None else float(value)
        for split in SPLITS
        for name, value in record["metrics"][split].items()
    }
    return row, values, dict(record.get("missing") or {})


def code_version(origin: Mapping[str, Any]) -> str:
    """Short name of the code behind a record: the hash of its source, whatever else was committed.

    >>> code_version({"git_commit": "3f2a1b9c5d", "source_sha256": "0dd1e2f3a4b5c6"})
    '0dd1e2f3a4b5'
    """
    return (origin.get("source_sha256") or origin.get("git_commit") or "unknown")[:SHOWN]


def _read_plan(tree: Tree, found: _Found) -> None:
    for row in planned(tree).to_dict("records"):
        known = {name: row[name] for name in ("config_id", "dataset", "model", "seed", "run_id")}
        found.rows.append({**known, "state": "missing", "cause": "", "where": ""})
        if row["config_id"] not in found.grids:
            found.grids[row["config_id"]] = flat(json.loads(row["grid"]))
            found.configs.setdefault(row["config_id"], flat(json.loads(row["config"])))


def _row_of_path(
    tree: Tree, path: Path, full_ids: Mapping[str, str], state: str, cause: str
) -> dict[str, Any]:
    """Row of a run of which only the place in the tree is known."""
    dataset, model, config, seed = path.parent.relative_to(tree.runs).parts
    return {
        "config_id": full_ids.get(config, config),
        "dataset": dataset,
        "model": model,
        "seed": int(seed.removeprefix("seed=")),
        "state": state,
        "cause": cause,
        "where": path.relative_to(tree.root).as_posix(),
    }


def _one_row_per_run(rows: "pd.DataFrame") -> "pd.DataFrame":
    rank = rows["state"].map({state: i for i, state in enumerate(_STATES)})
    first = rows.loc[rank.sort_values(kind="stable").index].drop_duplicates(["config_id", "seed"])
    return first.sort_index()


def _in_order_of(cells: "pd.DataFrame", runs: "pd.DataFrame") -> "pd.DataFrame":
    place = runs["config_id"].map({config: i for i, config in enumerate(cells.index)})
    return runs.assign(place=place).sort_values(["place", "seed"]).drop(columns="place")


def _numbers(found: _Found, index: "pd.Index[int]") -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Numbers and reasons of the rows `index`; the finished runs were read first, so theirs are 0, 1, ..."""
    import pandas as pd

    columns = _columns(found.values)
    labels = pd.MultiIndex.from_tuples(columns, names=["split", "metric"])
    values = [[row.get(key, float("nan")) for key in columns] for row in found.values]
    reasons = [
        [_reason(row, missing, key) for key in columns]
        for row, missing in zip(found.values, found.missing, strict=True)
    ]
    return (
        pd.DataFrame(values, columns=labels, dtype=float).reindex(index),
        pd.DataFrame(reasons, columns=labels, dtype=object).reindex(index),
    )


def _reason(row: Mapping[Key, float], missing: Mapping[str, str], key: Key) -> str | None:
    """Why a number is missing; a record names the metric alone where both splits lack it."""
    if key not in row:
        return NOT_RECORDED
    if row[key] == row[key]:  # not NaN
        return None
    return missing.get(".".join(key)) or missing.get(key[1], "no reason given")


def _columns(values: Sequence[Mapping[Key, float]]) -> list[Key]:
    """Every metric of any record for each split: those with a card in its order, then the others."""
    names = {name for row in values for _, name in row}
    known = [name for name in CARDS if name in names]
    return [(split, name) for split in SPLITS for name in [*known, *sorted(names - CARDS.keys())]]
