"""The trade-off of a penalty as a curve: what its scale takes out of the batch, and what that costs.

    python -m bie.run -m study=trade_off dataset=...
    python -m benchmarks.trade_off outputs/v1/trade_off --figure docs/trade_off.svg [--dataset NAME]

A panel for each metric of test cells against the probe's F1; a line for each model, along its scales, through
the means over the seeds, which are the small dots. Reconstruction is what it is above that of plain scVI on
the same split, since splits differ by more than models. Needs matplotlib.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes

from benchmarks.figure import panels, save
from bie.config.penalties import sections
from bie.store.paths import Tree
from bie.store.record import RECORD, read_all

BASELINE = "scvi"
LABELS = {
    "be_ratio": "BE of ceiling ↑",
    "probe_f1": "probe F1 ↓",
    "ari": "ARI ↑",
    "reconstruction": "reconstruction ↓",
}
ACROSS = "probe_f1"
PANELS = ("be_ratio", "ari", "reconstruction")
PAIRED = ("reconstruction",)
COLOURS = {"scvi_mine": "#0072b2", "scvi_mmd": "#d55e00", "adversarial": "#009e73", BASELINE: "black"}

Seeds = dict[int, dict[str, Any]]  # records
Runs = dict[tuple[str, str, str], Seeds]  # of dataset, model, config_id
Points = list[tuple[str, list[tuple[float, float]]]]  # label, and x and y of each seed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--dataset", help="of several in the tree")
    arguments = parser.parse_args()
    runs = read(arguments.tree)
    if len(names := {name for name, _, _ in runs}) > 1 or arguments.dataset:
        if arguments.dataset not in names:
            parser.error(f"--dataset: one of {', '.join(sorted(names))}")
        runs = {key: records for key, records in runs.items() if key[0] == arguments.dataset}
    figure, axes = panels(len(PANELS))
    for axis, metric in zip(axes, PANELS, strict=True):
        draw(axis, runs, metric)
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, arguments.figure)


def read(tree: Path) -> Runs:
    runs: Runs = defaultdict(dict)
    for path, record in read_all(Tree(tree), RECORD):
        assert record is not None, path
        config = record["config"]
        runs[config["dataset"]["name"], config["model"]["name"], record["config_id"]][record["seed"]] = record
    return runs


def scale(records: Seeds) -> str:
    config = next(iter(records.values()))["config"]
    section = next((config[name] for name in sections() if name in config), None)
    return f"{section['scale']:g}" if section else "–"


def draw(axis: Axes, runs: Runs, metric: str) -> None:
    for model, points in curves(runs, metric).items():
        colour = COLOURS[model]
        means = [tuple(map(mean, zip(*seeds, strict=True))) for _, seeds in points]
        axis.plot(*zip(*means, strict=True), "o-", color=colour, label=model, markersize=4, linewidth=1)
        for (label, seeds), at in zip(points, means, strict=True):
            axis.plot(*zip(*seeds, strict=True), ".", color=colour, alpha=0.35, markersize=4)
            axis.annotate(label, at, xytext=(4, 4), textcoords="offset points", fontsize=7, color=colour)
    above = f"{LABELS[metric]}, above scVI's" if metric in PAIRED else LABELS[metric]
    axis.set(xlabel=LABELS[ACROSS], ylabel=above)


def curves(runs: Runs, metric: str) -> dict[str, Points]:
    """Of each model its grid points by growing scale."""
    found: dict[str, list[tuple[float, str, Seeds]]] = defaultdict(list)
    plain = next(records for (_, model, _), records in runs.items() if model == BASELINE)
    zero = numbers(plain, metric) if metric in PAIRED else defaultdict(float)
    for (_, model, _), records in runs.items():
        label = scale(records).replace("–", "")
        found[model].append((float(label or 0), label, records))
    return {
        model: [
            (label, places(records, metric, zero))
            for _, label, records in sorted(arms, key=lambda arm: arm[0])
        ]
        for model, arms in found.items()
    }


def places(records: Seeds, metric: str, zero: Mapping[int, float]) -> list[tuple[Any, ...]]:
    across, up = numbers(records, ACROSS), numbers(records, metric)
    return [(across[seed], up[seed] - zero[seed]) for seed in sorted(across.keys() & up.keys())]


def numbers(records: Seeds, name: str) -> dict[int, float]:
    found = {seed: record["metrics"]["test"].get(name) for seed, record in records.items()}
    return {seed: value for seed, value in found.items() if value is not None}


if __name__ == "__main__":
    main()
