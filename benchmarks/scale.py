"""How time and memory grow with cells, genes, batches and runs; scvi-tools beside it at some sizes.

    python -m benchmarks.scale [--peer-python ENVIRONMENT/bin/python] [--quick] [--million FILE] [--write]

Counts are simulated, 8 % of them not zero, in gzipped .h5ad files. Both sides train scVI on one thread, a
process each; they take turns, an epoch each. ``--million`` trains on 1,000,000 cells x 2,000 genes too, by
``bie run``; the file is made unless it is there. ``--write`` puts tables and figure into docs/.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks import watch
from benchmarks.cpu import FOLDER, PEER, PLAIN, Contender, started
from benchmarks.large_counts import write
from benchmarks.page import DOCS, processor, put

N_CELLS, N_GENES, N_BATCHES = 5_000, 2_000, 2
AXES = {
    "cells": (1_000, 10_000, 100_000),
    "genes": (500, 2_000, 5_000, 20_000),
    "batches": (2, 10, 50),
}
QUICK = {"cells": (1_000, 2_000), "genes": (500,), "batches": (5,)}
RUNS, QUICK_RUNS = (1, 4, 16, 64), (1, 2)
PEER_UP_TO = 10_000 * 2_000  # counts, zeros included: beyond, its epochs take too long here
SMOKE = ("dataset.size=smoke", "train=smoke", "metrics.kmeans.n_init=10")
MILLION = 1_000_000


@dataclass
class Growth:
    """An epoch at a size: CPU seconds by round, and the peak memory of the process (MiB)."""

    seconds: list[float]
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, default=os.environ.get("BIE_ORACLE_PYTHON"))
    parser.add_argument("--quick", action="store_true", help="small sizes only: whether it works")
    parser.add_argument("--million", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        axes = QUICK if arguments.quick else AXES
        found = {
            axis: grown(Path(folder), axis, sizes, arguments.peer_python) for axis, sizes in axes.items()
        }
        parts = [growth_table(found), runs_table(Path(folder), QUICK_RUNS if arguments.quick else RUNS)]
        if arguments.million:
            parts.append(million_table(Path(folder), arguments.million))
    text = "\n\n".join(
        [
            parts[0],
            "![growth](growth.svg)",
            *parts[1:],
            f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}.",
        ]
    )
    print(text)
    if arguments.write:
        from benchmarks.figure import draw

        put(DOCS / "performance.md", "benchmarks.scale", text)
        draw(DOCS / "growth.svg", {axis: lines(sizes) for axis, sizes in found.items()}, "s (CPU) per epoch")


# ---- one run


def grown(folder: Path, axis: str, sizes: tuple[int, ...], peer: Path | None) -> dict[int, dict[str, Growth]]:
    """Of each contender at each size along one axis."""
    found = {}
    for size in sizes:
        shape = {"cells": N_CELLS, "genes": N_GENES, "batches": N_BATCHES} | {axis: size}
        data = folder / "counts.h5ad"
        write(data, shape["cells"], shape["genes"], shape["batches"])
        with_peer = peer if shape["cells"] * shape["genes"] <= PEER_UP_TO else None
        found[size] = at_size(data, with_peer)
        print(axis, size, found[size], file=sys.stderr, flush=True)
    return found


def at_size(data: Path, peer: Path | None) -> dict[str, Growth]:
    program = str(FOLDER / "contender.py")
    commands = {PLAIN: [sys.executable, program, "bie", str(data)]}
    if peer:
        commands[PEER] = [str(peer), program, "scvi-tools", str(data)]
    with ExitStack() as stack:
        contenders = [stack.enter_context(started(name, line, "")) for name, line in commands.items()]
        rounds = [[contender.epoch()["cpu"] for contender in contenders] for _ in range(3)][1:]
        return {
            contender.name: Growth(list(seconds), peak(contender))
            for contender, seconds in zip(contenders, zip(*rounds, strict=True), strict=True)
        }


def peak(contender: Contender) -> float:
    lines = Path(f"/proc/{contender.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def growth_table(found: dict[str, dict[int, dict[str, Growth]]]) -> str:
    rows = [
        "| | s (CPU) per epoch | MiB | scvi-tools: s (CPU) | MiB | times faster (range) |",
        "|---" * 6 + "|",
    ]
    for axis, sizes in found.items():
        for size, of in sizes.items():
            ours, peer = of[PLAIN], of.get(PEER)
            cells = [f"{size:,} {axis}", f"{median(ours.seconds):.2f}", f"{ours.memory:,.0f}"]
            rows.append("| " + " | ".join(cells + beside(ours, peer)) + " |")
    head = f"{N_CELLS:,} cells x {N_GENES:,} genes in {N_BATCHES} batches, but for what a row says:"
    return "\n".join([head, "", *rows])


def lines(sizes: dict[int, dict[str, Growth]]) -> dict[str, dict[float, float]]:
    names = {name: None for of in sizes.values() for name in of}
    return {name: {n: median(of[name].seconds) for n, of in sizes.items() if name in of} for name in names}


def beside(ours: Growth, peer: Growth | None) -> list[str]:
    if peer is None:
        return ["–"] * 3
    ratios = [theirs / own for theirs, own in zip(peer.seconds, ours.seconds, strict=True)]
    ratio = f"{median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
    return [f"{median(peer.seconds):.2f}", f"{peer.memory:,.0f}", ratio]


# ---- many runs


def runs_table(folder: Path, numbers: tuple[int, ...]) -> str:
    rows = [
        "| runs of a sweep (zinb smoke, 20 epochs) | s (wall) | s (CPU) | s (CPU) a run | MiB |",
        "|---" * 5 + "|",
    ]
    for n in numbers:
        cost = watch.bie("bie.run", "-m", *SMOKE, f"seed=range({n})", f"outputs={folder / f'runs-{n}'}")
        print(n, cost, file=sys.stderr, flush=True)
        rows.append(f"| {n} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.cpu / n:.2f} | {cost.memory:,.0f} |")
    return "\n".join(rows)


def million_table(folder: Path, data: Path) -> str:
    """A run from the file to the record, an epoch long."""
    if not data.exists():
        write(data, MILLION, N_GENES, N_BATCHES)
    keys = (f"dataset.path={data.absolute()}", "dataset.batch_key=batch", "dataset.label_key=cell_type")
    short = ("train.epochs=1", "metrics.kmeans.n_init=1", "hydra.launcher.workers=1")
    outputs = folder / "million"
    cost = watch.bie("bie.run", "dataset=h5ad", *keys, *short, f"outputs={outputs}")
    prepared = sum(path.stat().st_size for path in outputs.rglob("*.npy")) / 2**20
    rows = [
        "| 1,000,000 cells x 2,000 genes, `bie run`, one epoch | |",
        "|---|---|",
        f"| the .h5ad file | {data.stat().st_size / 2**20:,.0f} MiB |",
        f"| the same, prepared (CSR, float32 and int32, and names) | {prepared:,.0f} MiB |",
        f"| peak memory of all processes, without mapped files | {cost.memory:,.0f} MiB |",
        f"| with mapped files | {cost.mapped:,.0f} MiB |",
        f"| time, all | {cost.cpu:,.0f} s (CPU), {cost.wall:,.0f} s (wall) |",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
