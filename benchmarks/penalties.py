"""Each model against plain scVI on the same splits: what a penalty takes out, and what else changes.

    python -m bie.run -m study=penalties dataset=zinb dataset.preset=strong
    python -m bie.run -m study=penalties dataset=h5ad dataset.name=pbmc3k4k dataset.path=...
    python -m benchmarks.penalties outputs/v1/penalties [--write docs/penalties.md]

Test cells; mean±sd over seeds, then the mean paired difference from scVI with its 95 % interval, corrected
for the overlap of the splits (bie.analysis.paired). What it costs: benchmarks.whole.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.page import put
from bie.analysis.numbers import mean_sd
from bie.analysis.paired import corrected_difference
from bie.config.penalties import sections
from bie.store.paths import Tree
from bie.store.record import RECORD, read_all

METRICS = {
    "be_ratio": "BE of ceiling ↑",
    "probe_f1": "probe F1 ↓",
    "ari": "ARI ↑",
    "nmi": "NMI ↑",
    "reconstruction": "reconstruction ↓",
}
DECIMALS = defaultdict(lambda: 3, reconstruction=1)
BASELINE = "scvi"

Seeds = dict[int, dict[str, Any]]  # records
Runs = dict[tuple[str, str, str], Seeds]  # of dataset, model, config_id


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="page whose marked part the table replaces")
    parser.add_argument("--part", default="benchmarks.penalties", help="name of the marks of that part")
    arguments = parser.parse_args()
    text = "\n".join(line for tree in arguments.trees for line in tables(read(tree)))
    print(text)
    if arguments.write:
        put(arguments.write, arguments.part, text)


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


def tables(runs: Runs) -> Iterator[str]:
    for dataset in dict.fromkeys(arm[0] for arm in runs):
        arms = {arm: found for arm, found in runs.items() if arm[0] == dataset}
        baseline = next(found for arm, found in arms.items() if arm[1] == BASELINE)
        yield f"\n**{dataset}**, {len(baseline)} seeds\n"
        yield f"| model | scale | {' | '.join(METRICS.values())} |"
        yield "|---" * (2 + len(METRICS)) + "|"
        for (_, model, _), found in sorted(arms.items(), key=lambda item: item[0][1] != BASELINE):
            cells = [cell(found, {} if model == BASELINE else baseline, name) for name in METRICS]
            yield f"| {model} | {scale(found)} | {' | '.join(cells)} |"


def cell(found: Seeds, baseline: Seeds, name: str) -> str:
    values, plain = numbers(found, name), numbers(baseline, name)
    if not values:
        return "–"
    text = mean_sd(mean(values.values()), stdev(values.values()) if len(values) > 1 else nan)
    pairs = [values[seed] - plain[seed] for seed in values.keys() & plain.keys()]
    if len(pairs) < 2:
        return text
    train_fraction = next(iter(found.values()))["config"]["split"]["train_fraction"]
    gap = corrected_difference(pairs, train_fraction)
    decimals = DECIMALS[name]
    return f"{text} ({gap.mean:+.{decimals}f}; {gap.low:+.{decimals}f}, {gap.high:+.{decimals}f})"


def numbers(records: Seeds, name: str) -> dict[int, float]:
    found = {seed: record["metrics"]["test"].get(name) for seed, record in records.items()}
    return {seed: value for seed, value in found.items() if value is not None}


if __name__ == "__main__":
    main()
