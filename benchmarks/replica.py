"""The pattern of the 2019 study's first charts: plain scVI beside its MINE at growing scales.

    python benchmarks/replica.py --out FOLDER [--data cells.h5ad --batch-key batch --label-key cell_type]

Runs Hidden30 layers3 of the study `mine_2019`, with a critic that nobody trains; scale 0 is its scVI arm,
with its KL schedule. Without `--data` the cells are simulated with the shares of PBMC. Runs that are there
are not made again. Prints a Markdown table, mean±sd over the seeds, of training and test cells.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

from bie.run import main as run
from bie.store.paths import Tree
from bie.store.record import RECORD, read_all

METRICS = ("asw", "nmi", "ari", "uca", "be")
SIMULATED = ["dataset=zinb", "dataset.preset=mild", "dataset.n_types=9"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batch-key", default="batch")
    parser.add_argument("--label-key", default="cell_type")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", help="more overrides, such as train.epochs=2")
    arguments = parser.parse_args()
    code = run(["-m", *overrides(arguments)])
    if code < 2:
        print(table(Tree(arguments.out / "v1" / "replica")))
    return code


def overrides(arguments: argparse.Namespace) -> list[str]:
    keys = {"path": arguments.data, "batch_key": arguments.batch_key, "label_key": arguments.label_key}
    cells = ["dataset=h5ad", *(f"dataset.{key}={value}" for key, value in keys.items())]
    return [
        "study=mine_2019",
        "study.name=replica",
        f"outputs={arguments.out}",
        *(cells if arguments.data else SIMULATED),
        "mine.n_hidden=30",
        "mine.n_layers=3",
        f"seed=range({arguments.seeds})",
        *arguments.overrides,
    ]


def table(tree: Tree) -> str:
    """Markdown: a row for each scale and part of the cells."""
    found = defaultdict(list)
    for _, record in read_all(tree, RECORD):
        if record:
            for part in ("train", "test"):
                scale = record["config"].get("mine", {"scale": 0})["scale"]
                found[part, scale].append(record["metrics"][part])
    rows = ["| scale | set | seeds | " + " | ".join(METRICS).upper() + " |", "|---" * 8 + "|"]
    for part, scale in sorted(found, key=lambda key: (key[0] == "test", key[1])):
        runs = found[part, scale]
        cells = [cell([run[metric] for run in runs]) for metric in METRICS]
        rows.append(f"| {scale:g} | {part} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{mean(known):.3f}" + (f"±{stdev(known):.3f}" if len(known) > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
