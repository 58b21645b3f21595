"""What reading a large study costs: tables and page of many records, and of those that came since.

    python -m benchmarks.records [--records 100000] [--write]

The records are copies of one real run's, with identities and numbers of their own, written by the package's
own writer without waiting for the disk; each command is a process of its own. Then a page of 2,000 runs with
histories of 250 epochs is opened in a headless Chromium, if there is one. ``--write`` puts the tables into
the documentation.
"""

import argparse
import copy
import hashlib
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any
from unittest import mock

from benchmarks.page import DOCS, put
from benchmarks.sweep import TREE, Cost, bie, where

SEEDS = 100
NEW = 100
PAGE_RUNS, EPOCHS = 2_000, 250
OPENED = 5
GOALS = {"cold": "15 s, 600 MiB", f"{NEW} new": "3 s", "nothing new": "1 s"}
LARGE = 100_000  # records that the goals are set for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=LARGE)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bie(folder, "bie.run", "model=scvi_mine", "dataset.size=smoke", "train=smoke", "train.epochs=2")
        pattern = next((folder / TREE / "runs").rglob("record.json")).rename(folder / "record.json")
        parts: list[str] = []
        for part in (
            partial(tables, folder, pattern, arguments.records),
            partial(page, folder, pattern),
            where,
        ):
            parts.append(part())
            print(parts[-1], flush=True)
        if arguments.write:
            put(DOCS / "performance.md", "benchmarks.records", "\n\n".join(parts))


# ---- records


def grow(tree: Path, pattern: Path, n_points: int, seeds: range, epochs: int = 0) -> None:
    """Add records to a study, in another process: this one stays small, as its children start from it."""
    process = multiprocessing.get_context("spawn").Process(
        target=write, args=(tree, pattern, n_points, seeds, epochs)
    )
    process.start()
    process.join()
    assert process.exitcode == 0


def write(tree: Path, pattern: Path, n_points: int, seeds: range, epochs: int = 0) -> None:
    """Write a record, and a history of some epochs, of each of some grid points at each of some seeds."""
    import orjson

    from bie.store.record import HISTORY, write_record

    files = {HISTORY: history(epochs)} if epochs else {}
    quick = mock.patch("bie.store.record.as_json", lambda v: orjson.dumps(v, option=orjson.OPT_INDENT_2))
    with quick, mock.patch("os.fsync", return_value=None):
        for place, record in records(json.loads(pattern.read_text()), n_points, seeds):
            write_record(tree / "runs" / place, record, files)


def records(pattern: dict[str, Any], n_points: int, seeds: range) -> Iterator[tuple[str, dict[str, Any]]]:
    """Folder and content of each record: scVI, then scVI+MINE at one scale after the other."""
    draw = random.Random(seeds.start).gauss
    for point in range(n_points):
        config = copy.deepcopy(pattern["config"])
        model = config["model"]["name"] = "scvi_mine" if point else "scvi"
        if point:
            config["mine"]["scale"] = float(point)
        else:
            del config["mine"]
        config_id = hashed("point", point)
        for seed in seeds:
            own: dict[str, Any] = {
                part: {
                    split: {name: v if v is None else v * (1 + draw(0, 0.01)) for name, v in values.items()}
                    for split, values in pattern[part].items()
                }
                for part in ("metrics", "ot_ratio_by_type")
            }
            own["notes"] = {name: f"{text} ({draw(0, 0.01):.6f})" for name, text in pattern["notes"].items()}
            known = {"config_id": config_id, "seed": seed, "split_id": hashed("split", seed)}
            known["run_id"] = hashed(config_id, seed)
            dataset = config["dataset"]["name"]
            place = f"{dataset}/{model}/{config_id[:12]}/seed={seed:04d}"
            yield place, pattern | known | own | {"config": config | {"seed": seed}}


def hashed(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def history(epochs: int) -> bytes:
    """As a run with a penalty writes it: train and test, six terms each."""
    terms = ("loss", "elbo", "reconstruction", "kl_z", "kl_library", "mine")
    names = [f"{split}_{term}" for split in ("train", "test") for term in terms]
    draw = random.Random(0)
    rows = [[str(epoch), *(f"{draw.uniform(0, 900):.6f}" for _ in names)] for epoch in range(1, epochs + 1)]
    return "\n".join(",".join(row) for row in [["epoch", *names], *rows]).encode()


# ---- tables


def tables(folder: Path, pattern: Path, n: int) -> str:
    """Each command three times: without an index, with some new records, with none."""
    tree = folder / "large" / "v1" / "large"
    n_points = n // SEEDS
    grow(tree, pattern, n_points, range(SEEDS))
    rows = []
    for number, command in enumerate((("bie.aggregate",), ("bie.report", "--no-runs"))):
        for path in tree.glob("report/.*"):
            path.unlink()
        for what, goal in GOALS.items():
            if what == f"{NEW} new":
                grow(tree, pattern, min(NEW, n_points), range(SEEDS + number, SEEDS + number + 1))
            time.sleep(3)  # files of this moment are not trusted: bie.analysis.files
            cost = bie(folder, *command, str(tree))
            name = f"`{command[0].replace('.', ' ')}{' --no-runs' * number}`, {what}"
            rows.append(row(name, cost, goal if n >= LARGE else "–"))
    head = f"| {n:,} records, {n_points:,} grid points | s (CPU) | s (wall) | MiB | goal |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def row(name: str, cost: Cost, goal: str) -> str:
    return f"| {name} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:,.0f} | {goal} |"


# ---- the page


def page(folder: Path, pattern: Path) -> str:
    """Size of a page with every run on it, and how long a browser takes to open it."""
    tree = folder / "page" / "v1" / "page"
    grow(tree, pattern, PAGE_RUNS // SEEDS, range(SEEDS), EPOCHS)
    made = bie(folder, "bie.report", str(tree))
    path = tree / "report" / "index.html"
    size = path.stat().st_size / 1e6
    found = opened(path)
    seconds = "– (no Chromium)" if found is None else f"{found[0]:.1f} (CPU), {found[1]:.1f} (wall)"
    return "\n".join(
        [
            f"| page of {PAGE_RUNS:,} runs, {EPOCHS} epochs each | | goal |",
            "|---|---|---|",
            f"| to make it, s (CPU) | {made.cpu:.1f} | – |",
            f"| size, MB | {size:.1f} | 30 |",
            f"| to open it, s, least of {OPENED} | {seconds} | 2 |",
        ]
    )


def opened(path: Path) -> tuple[float, float] | None:
    """CPU time of the browser and wall time until the table of runs stands, seconds."""
    steered = run_path(str(Path(__file__).parents[1] / "tests" / "browser.py"))
    if steered["chromium"]() is None:
        return None
    found = []
    with steered["browser"]() as tab:
        for _ in range(OPENED):
            before, start = used(), time.perf_counter()
            tab.open(path.as_uri())
            tab.wait(f"document.querySelector('#run-count').textContent.startsWith('{PAGE_RUNS}')")
            found.append((used() - before, time.perf_counter() - start))
    return min(cpu for cpu, _ in found), min(wall for _, wall in found)


def used() -> float:
    """CPU time of the processes below this one, seconds."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(entry.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = int(fields[11]) + int(fields[12])
    below, todo = 0, [os.getpid()]
    while todo:
        found = children.get(todo.pop(), [])
        below += sum(ticks[pid] for pid in found)
        todo += found
    return below / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
