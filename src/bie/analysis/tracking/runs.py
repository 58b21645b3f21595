"""A run as any tracker sees it: settings, final numbers, numbers by epoch, where they come from, files."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bie.analysis.grid import flat
from bie.analysis.run_files import read_histories
from bie.analysis.study import Study
from bie.analysis.titles import row_titles
from bie.store.identity import SHOWN
from bie.store.paths import Tree
from bie.store.record import FAILED, HISTORY, RECORD, read

Number = int | float


@dataclass(frozen=True)
class TrackedRun:
    """A finished or a failed run.

    Attributes
    ----------
    name
        For people: data set, model and settings as the table's row has them, and seed.
    key
        Grid point and seed: what it stays by when it is done again.
    content
        SHA-256 of the record, or of the note of the failure: another one, and the run has been done again.
    failed
        Whether it failed.
    settings
        The whole configuration under dotted names, the seed among them.
    metrics
        Final numbers: ``test/ari``. What is missing in the record is not there.
    history
        Numbers of each epoch: ``history/train_loss``; the epochs count from 1.
    origin
        Where the numbers come from, under dotted names: ``run_id``, ``provenance.git_commit``; of a failed
        run ``cause`` and ``message``.
    files
        What the run left that is to be kept with it.
    ended, seconds
        When its record was written, in seconds since the epoch, and how long it took; 0: not known.
    """

    name: str
    key: str
    content: str
    failed: bool
    settings: Mapping[str, Any]
    metrics: Mapping[str, Number]
    history: Mapping[int, Mapping[str, Number]]
    origin: Mapping[str, Any]
    files: tuple[Path, ...]
    ended: float
    seconds: float


def tracked_runs(tree: Tree, study: Study) -> Iterator[TrackedRun]:
    """The runs of a study that have ended, one after the other; one that cannot be read is left out."""
    names = row_titles(study.grid_points)
    ended = study.runs[study.runs["state"].isin(["done", "failed"])]
    for label, row in zip(ended.index, ended.to_dict("records"), strict=True):
        folder = tree.run_dir(row["dataset"], row["model"], row["config_id"], row["seed"])
        path = folder / (RECORD if row["state"] == "done" else FAILED)
        content = read(path)
        if content is None:
            continue
        history = {} if row["state"] == "failed" else _history(tree, ended.loc[[label]])
        yield TrackedRun(
            name=f"{row['dataset']} {names[row['config_id']]} seed={row['seed']}",
            key=f"{row['config_id'][:SHOWN]}-{row['seed']:04d}",
            content=hashlib.sha256(path.read_bytes()).hexdigest(),
            failed=row["state"] == "failed",
            settings=study.configs.get(row["config_id"], {}) | {"seed": row["seed"]},
            metrics=_metrics(content.get("metrics") or {}),
            history=history,
            origin=_origin(row, content),
            files=tuple(each for each in (path, folder / HISTORY) if each.is_file()),
            ended=path.stat().st_mtime,
            seconds=float((content.get("timing") or {}).get("total_s") or 0.0),
        )


def _metrics(parts: Mapping[str, Mapping[str, Number | None]]) -> dict[str, Number]:
    return {
        f"{split}/{name}": value
        for split, numbers in parts.items()
        for name, value in numbers.items()
        if value is not None
    }


def _history(tree: Tree, run: Any) -> dict[int, dict[str, Number]]:
    """Rows of ``history.csv`` by epoch, without the cells that are empty."""
    for _, found in read_histories(tree, run):
        rows = found.select_dtypes("number").to_dict("records")
        return {
            int(row["epoch"]): {
                f"history/{name}": value
                for name, value in row.items()
                if name != "epoch" and abs(value) < float("inf")
            }
            for row in rows
        }
    return {}


def _origin(row: Mapping[Any, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """What a tracker can be searched by, besides the settings."""
    known = {name: row[name] for name in ("dataset", "model", "seed", "config_id")}
    if row["state"] == "failed":
        return known | {name: content.get(name) or "" for name in ("cause", "message")}
    provenance = {f"provenance.{key}": value for key, value in flat(content.get("provenance") or {}).items()}
    return known | {name: content.get(name) for name in ("run_id", "split_id")} | provenance
