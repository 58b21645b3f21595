"""What a run costs besides its training: start-up, metrics, a further run, a further worker.

    python -m benchmarks.startup [--rounds 5] [--write]

Everything is a command as people type it. Its stages are read off the record that it leaves. ``--write`` puts
the tables into docs/performance.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import watch
from benchmarks.page import DOCS, processor, put

SMOKE = ("dataset=zinb", "dataset.size=smoke", "train=smoke", "train.epochs=1")
PBMC = ("dataset=zinb", "dataset.size=pbmc", "dataset.n_types=9")
EPOCHS = 250  # of a whole training
N_FURTHER = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *start_up(Path(folder), arguments.rounds),
            further_runs(Path(folder)),
            *metrics(Path(folder)),
            *workers(Path(folder)),
        ]
    where = f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds."
    text = "\n".join(["| | median (range) | goal |", "|---|---|---|", *rows, "", where])
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.startup", text)


def row(what: str, values: list[float], unit: str, goal: str, digits: int = 2) -> str:
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    line = f"| {what} | {middle} {unit}" + (f" ({low}–{high})" if len(values) > 1 else "") + f" | {goal} |"
    print(line, file=sys.stderr, flush=True)
    return line


def start_up(folder: Path, rounds: int) -> list[str]:
    help_s, first_s = [], []
    for number in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bie.run", "--help"], stdout=subprocess.DEVNULL, check=True)
        help_s.append(time.perf_counter() - start)
        typed = time.time()
        watch.bie("bie.run", *SMOKE, f"outputs={folder / f'first-{number}'}")
        ((written, stages),) = records(folder / f"first-{number}")
        first_s.append(written - stages["score_s"] - stages["embed_s"] - typed)
    return [
        row("`bie run --help`", help_s, "s", "0.4 s"),
        row(
            "a single run on zinb smoke: typed to the end of the first epoch (two steps)",
            first_s,
            "s",
            "2.5 s",
        ),
    ]


def records(outputs: Path) -> list[tuple[float, dict[str, Any]]]:
    """When each record was written, in this order, and its stages."""
    found = (
        (path.stat().st_mtime, json.loads(path.read_text())["timing"])
        for path in outputs.rglob("record.json")
    )
    return sorted(found, key=lambda record: record[0])


def further_runs(folder: Path) -> str:
    """Seconds between the records of a worker that are neither training nor metrics."""
    watch.bie(
        "bie.run",
        "-m",
        *SMOKE,
        f"seed=range({N_FURTHER + 1})",
        "hydra.launcher.workers=1",
        f"outputs={folder}/n",
    )
    written = records(folder / "n")
    between = [
        after - before - stages["fit_s"] - stages["embed_s"] - stages["score_s"]
        for (before, _), (after, stages) in pairwise(written)
    ]
    return row("a further run in a worker, without its training and metrics", between, "s", "0.1 s", 3)


def metrics(folder: Path) -> list[str]:
    """At the size of PBMC, of a training of 250 epochs."""
    epochs = 3
    watch.bie("bie.run", *PBMC, f"train.epochs={epochs}", "save.embedding=true", f"outputs={folder}/pbmc")
    ((_, stages),) = records(folder / "pbmc")
    share = 100 * stages["score_s"] / (stages["fit_s"] / epochs * EPOCHS)
    apart = seconds_by_metric(next((folder / "pbmc").rglob("embedding.npz")))
    found = ", ".join(f"{name} {seconds:.2f}" for name, seconds in apart.items() if seconds > 0.02)
    return [
        row(
            f"all metrics, train and test cells, PBMC size: share of {EPOCHS} epochs", [share], "%", "10 %", 1
        ),
        row(f"the same, on one thread ({found})", [sum(apart.values())], "s (CPU)", "–"),
    ]


def seconds_by_metric(embedding: Path) -> dict[str, float]:
    """CPU seconds of what the metrics share and of each metric, training cells alone."""
    from bie.data.load import load
    from bie.metrics.cards import METRICS
    from bie.metrics.metric import call_by_name
    from bie.metrics.part import Part
    from bie.planning.compose import Configurations
    from bie.planning.expand import expand
    from bie.seeds import Streams
    from bie.store.provenance import configuration_folder

    config = expand(list(PBMC), Configurations(configuration_folder())).combinations[0].config
    cells = load(config.dataset)
    row_of = {name: row for row, name in enumerate(cells.cell_names.tolist())}
    columns = np.load(embedding)
    train = columns["split"] == "train"
    x_ng = cells.counts[[row_of[name] for name in columns["cell"][train].tolist()]]
    z_nd = columns["z"][train].astype(np.float64)
    (batches, batch_n), (labels, label_n) = (
        np.unique(columns[name][train], return_inverse=True) for name in ("batch", "label")
    )
    of_cells = z_nd, batch_n, len(batches), label_n, len(labels)
    part = Part(*of_cells, config.metrics, Streams(0), counts_of=x_ng.__getitem__)
    shared = {
        "neighbours": "neighbours",
        "their weights": "lisi_weight_qk",
        "silhouettes": "label_widths",
        "silhouettes of batches": "batch_width_t",
        "components of the counts": "uncorrected",
        "k-means, 200 starts": "cluster_n",
        "probes": "probe_pnb",
        "probes of noise": "probe_of_noise_pnb",
    }
    import sklearn.cluster
    import sklearn.neighbors
    import sklearn.neural_network  # noqa: F401 - loading is no part of a metric

    found = {}
    for name, attribute in shared.items():
        start = time.process_time()
        getattr(part, attribute)
        found[name] = time.process_time() - start
    for name, metric in METRICS.items():
        if any(call_by_name(need, part) for need in metric.needs):
            continue  # no number of these cells, as where factors are not known
        start = time.process_time()
        call_by_name(metric, part)
        found[name] = time.process_time() - start
    return found


def workers(folder: Path) -> list[str]:
    """Runs a second, and memory, of one worker and of one per core."""
    cores = len(os.sched_getaffinity(0))
    rate, memory = {}, {}
    for n in (1, cores):
        outputs = folder / f"workers-{n}"
        short = ("train.epochs=2", "metrics.kmeans.n_init=10", f"hydra.launcher.workers={n}")
        cost = watch.bie("bie.run", "-m", *PBMC, *short, f"seed=range({3 * n})", f"outputs={outputs}")
        written = [moment for moment, _ in records(outputs)]
        rate[n], memory[n] = 2 * n / (written[-1] - written[n - 1]), cost.memory
    added = (memory[cores] - memory[1]) / max(cores - 1, 1)
    return [
        row(
            f"{cores} workers, throughput as a multiple of {cores} times one",
            [rate[cores] / cores / rate[1]],
            "",
            "0.9",
        ),
        row("memory of a further worker, PBMC size", [added], "MiB", "250 MiB", 0),
    ]


if __name__ == "__main__":
    main()
