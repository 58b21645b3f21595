"""A whole study from the typed command to its table, beside the script that does the same with scvi-tools.

    python -m benchmarks.study --peer-python ENVIRONMENT/bin/python [--rounds 3] [--write]

Plain scVI with the settings of scvi-tools on simulated counts, two seeds, one worker: `bie run -m` and then
`bie aggregate`, in turn with `benchmarks/study_by_hand.py`, which loads its libraries once for all seeds and
makes some of the scores that bie makes. CPU time is that of all processes. ``--write`` puts the table into
docs/performance.md.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from subprocess import run as run_command

from benchmarks import watch
from benchmarks.page import DOCS, processor, put
from benchmarks.watch import Cost

SEEDS = (0, 1)


@dataclass(frozen=True)
class Size:
    """Of a study."""

    n_cells: int
    n_genes: int
    epochs: int


SIZES = {"small": Size(1_300, 900, 100), "pbmc": Size(12_000, 3_346, 20)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, default=os.environ.get("BIE_ORACLE_PYTHON"))
    parser.add_argument("--sizes", default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.peer_python is None:
        parser.error("--peer-python is the interpreter of an environment with scvi-tools and scikit-learn")
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for name in arguments.sizes.split(",")
            for row in compared(SIZES[name], Path(folder), arguments.peer_python, arguments.rounds)
        ]
    head = ["| study | | s (CPU) | s (wall) | times the script, by CPU time (range) |", "|---" * 5 + "|"]
    text = "\n".join([*head, *rows, "", where(arguments.peer_python, arguments.rounds)])
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.study", text)


def compared(size: Size, folder: Path, python: Path, rounds: int) -> Iterator[str]:
    """Rows of the table for a size."""
    data = folder / f"{size.n_cells}.h5ad"
    simulate(size, data)
    ours, theirs = list[Cost](), list[Cost]()
    for number in range(rounds):
        ours.append(by_bie(size, data, folder / f"{size.n_cells}-{number}"))
        theirs.append(by_hand(size, data, python))
        print(size, ours[-1], theirs[-1], file=sys.stderr, flush=True)
    ratios = [hand.cpu / own.cpu for own, hand in zip(ours, theirs, strict=True)]
    name = f"{size.n_cells:,} cells x {size.n_genes:,} genes, {size.epochs} epochs, {len(SEEDS)} seeds"
    spread = f"{median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
    yield f"| {name} | `bie run -m`, `bie aggregate` | {seconds(ours)} | {spread} |"
    yield f"| | the script | {seconds(theirs)} | 1 |"


def seconds(costs: list[Cost]) -> str:
    return f"{median(cost.cpu for cost in costs):.1f} | {median(cost.wall for cost in costs):.1f}"


def simulate(size: Size, path: Path) -> None:
    """Counts with cell types and two batches."""
    import anndata
    import numpy as np
    import pandas as pd

    from bie.data.load import load
    from bie.planning.compose import Configurations
    from bie.planning.expand import expand
    from bie.store.provenance import configuration_folder

    typed = (f"dataset.n_cells={size.n_cells}", f"dataset.n_genes={size.n_genes}")
    (found,) = expand(typed, Configurations(configuration_folder())).combinations
    cells = load(found.config.dataset)
    assert cells.label is not None
    columns = {
        "batch": pd.Categorical(np.asarray(cells.batches)[cells.batch]),
        "cell_type": pd.Categorical(np.asarray(cells.labels)[cells.label]),
    }
    obs, var = pd.DataFrame(columns, index=cells.cell_names), pd.DataFrame(index=cells.gene_names)
    anndata.AnnData(cells.counts, obs=obs, var=var).write_h5ad(path)


def by_bie(size: Size, data: Path, outputs: Path) -> Cost:
    keys = (f"dataset.path={data}", "dataset.batch_key=batch", "dataset.label_key=cell_type")
    model = ("model=scvi", "preset=scvi_tools", f"train.epochs={size.epochs}", "train.kl.warmup_epochs=400")
    how = (f"seed={','.join(map(str, SEEDS))}", "hydra.launcher.workers=1", f"outputs={outputs}")
    train = watch.bie("bie.run", "-m", "dataset=h5ad", *keys, *model, *how)
    table = watch.bie("bie.aggregate", outputs / "v1" / "adhoc")
    return Cost(train.wall + table.wall, train.cpu + table.cpu, train.memory, train.mapped)


def by_hand(size: Size, data: Path, python: Path) -> Cost:
    script = Path(__file__).with_name("study_by_hand.py")
    return watch.cost_of([str(python), str(script), str(data), str(size.epochs), *map(str, SEEDS)])


VERSIONS = """
import scvi, sklearn, torch
print(f"scvi-tools {scvi.__version__}, scikit-learn {sklearn.__version__}, torch {torch.__version__}")
"""


def where(python: Path, rounds: int) -> str:
    line = [str(python), "-W", "ignore", "-c", VERSIONS]
    peer = run_command(line, capture_output=True, text=True, check=True).stdout.strip()
    return f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}, {rounds} rounds. {peer}."


if __name__ == "__main__":
    main()
