"""What the page of a run shows: settings, history, log, provenance; the same text of many runs once."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bie.analysis.run_files import read_histories
from bie.store.identity import SHOWN
from bie.store.paths import Tree
from bie.store.record import FAILED, RECORD

if TYPE_CHECKING:
    import pandas as pd

HISTORIES = 10_000_000  # characters in the page for all histories together
POINT = 9.0  # characters of a number in a history
MOST_EPOCHS = 100
LOG_LINES, LOG_LONGEST = 30, 4_000
VALUE_LONGEST = 500
LOGS = "logs"
MARK = "--- "
"""Begins the line that a worker prints before each run, followed by the run's folder."""


def run_pages(tree: Tree, runs: "pd.DataFrame") -> dict[str, Any]:
    """Details of finished and failed runs by row of `runs`, and the texts that they share.

    Returns
    -------
    dict
        ``pages``: by row; ``shared``: texts, to which a page refers by their number.
    """
    ended = runs[runs["state"].isin(("done", "failed", "unreadable"))]
    shared: dict[str, int] = {}
    logs = _log_tails(tree)
    pages = {str(label): _page(tree, row, shared, logs) for label, row in _rows(ended)}
    done = ended[ended["state"] == "done"]
    for label, history in read_histories(tree, done):
        pages[str(label)]["history"] = _curve(history, len(done))
    return {"pages": pages, "shared": list(shared)}


def _rows(runs: "pd.DataFrame") -> "list[tuple[Any, dict[Any, Any]]]":
    return list(zip(runs.index, runs.to_dict("records"), strict=True))


def _page(
    tree: Tree, row: Mapping[Any, Any], shared: dict[str, int], logs: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    folder = tree.run_dir(row["dataset"], row["model"], row["config_id"], row["seed"])
    page: dict[str, Any] = {"folder": folder.relative_to(tree.root).as_posix()}
    name = RECORD if row["state"] == "done" else FAILED
    content = _read(folder / name)
    if row["state"] == "done":
        for part in ("provenance", "timing", "missing"):
            text = json.dumps(short(content.get(part) or {}), ensure_ascii=False)
            page[part] = shared.setdefault(text, len(shared)) if part == "provenance" else json.loads(text)
    else:
        page["failure"] = {key: _cut(str(value), LOG_LONGEST) for key, value in content.items()}
    place = "/".join((row["dataset"], row["model"], row["config_id"][:SHOWN], folder.name))
    if place in logs:
        page["log"] = _cut("\n".join(logs[place]), LOG_LONGEST)
    return page


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def short(value: Any) -> Any:
    """The same with every text cut to `VALUE_LONGEST`."""
    if isinstance(value, dict):
        return {_cut(str(key)): short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [short(inner) for inner in value[:VALUE_LONGEST]]
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str, longest: int = VALUE_LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def _log_tails(tree: Tree) -> dict[str, list[str]]:
    """Last lines that the workers printed of each run, by the end of its folder's name."""
    tails: dict[str, list[str]] = {}
    for path in sorted(tree.launches.glob(f"*/{LOGS}/*.log")):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        for part in f"\n{text}".split(f"\n{MARK}")[1:]:
            folder, _, lines = part.partition("\n")
            place = "/".join(folder.strip().split("/")[-4:])
            if lines.strip():
                tails[place] = lines.rstrip().splitlines()[-LOG_LINES:]
    return tails


def _curve(history: "pd.DataFrame", n_runs: int) -> dict[str, Any]:
    """Some epochs of a history, the last among them, the fewer the more runs there are; 4 digits."""
    import numpy as np

    numbers = history.select_dtypes("number")
    of_test = (
        numbers.filter(regex="^test_").notna().any(axis=1)
    )  # epochs after which test cells were looked at
    numbers = numbers[of_test] if of_test.any() else numbers
    most = int(HISTORIES / max(n_runs, 1) / POINT / max(numbers.shape[1], 1))
    keep = min(len(numbers), max(2, min(MOST_EPOCHS, most)))
    rows = np.unique(np.linspace(0, len(numbers) - 1, keep).round().astype(int))
    part = numbers.iloc[rows]
    values = [[_number(value) for value in column] for column in part.to_numpy(dtype=float).T]
    return {"names": [str(name) for name in part.columns], "values": values}


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if abs(value) < float("inf") else None
