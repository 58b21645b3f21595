"""Many runs at once on a GPU, beside scvi-tools one by one and our own run alone on the same GPU.

    python -m benchmarks.gpu --peer-python ENVIRONMENT/bin/python [--rounds 5] [--write]
    python -m benchmarks.gpu --device cpu [--peer-python ...]

The second is a rehearsal: little data, no graphs, and times that mean nothing. Each pack takes turns with the
other two, an epoch each: what is printed is the median over the rounds of the ratio within a round, and its
range. ``--write`` puts the tables into docs/performance.md.
"""

import argparse
import os
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import counts_like_pbmc
from benchmarks.contender import configured
from benchmarks.cpu import PEER, Contender, spread, started
from benchmarks.packs import MIB, Pack, Place, equality
from benchmarks.page import DOCS, put
from bie.data.load import load
from bie.execution.packs import bytes_of_cells, bytes_of_run, max_pack_size
from bie.execution.worker import USABLE
from bie.experiment import Experiment
from bie.training.graph import status

SIZES = {"cuda": "1,8,32,64,auto", "cpu": "1,3"}
"""Runs of a pack; auto: as many as `bie.execution.packs` lets in."""

EPOCHS = 250


@dataclass
class Times:
    """Of one pack: seconds for each run and epoch, and those of the others in the same rounds."""

    name: str
    n_runs: int
    train: list[float] = field(default_factory=list)
    evaluation: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    peak: float = float("nan")
    estimate: float = float("nan")

    def row(self) -> str:
        epochs = [t + e for t, e in zip(self.train, self.evaluation, strict=True)]
        cells = [
            self.name,
            f"{self.n_runs:,}",
            f"{1e3 * median(self.train):.2f}",
            f"{1e3 * median(self.evaluation):.2f}",
            ratios(self.peer, self.train),
            ratios(self.alone, self.train),
            f"{3600 / (EPOCHS * median(epochs)):,.0f}",
            f"{self.peak:,.0f}",
            f"{self.estimate:,.0f}",
        ]
        return f"| {' | '.join(cells)} |"


def ratios(other: list[float], ours: list[float]) -> str:
    return spread([a / b for a, b in zip(other, ours, strict=True)]) if other else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, default=os.environ.get("BIE_ORACLE_PYTHON"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sizes", help="runs of the packs: 1,8,32,64,auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write and (arguments.device == "cpu" or arguments.peer_python is None):
        parser.error("--write needs a GPU and --peer-python, an interpreter with scvi-tools")
    sizes = (arguments.sizes or SIZES[arguments.device]).split(",")
    if arguments.device == "cpu" and "auto" in sizes:
        parser.error("--sizes auto asks a GPU for its memory; with --device cpu give numbers")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "counts.h5ad"
        counts_like_pbmc.write(data)
        if arguments.device == "cpu":
            shrink(data)
        config = configured(str(data), [])
        place = Place(arguments.device, str(data), load(config.dataset))
        peer = stack.enter_context(peer_on(place, arguments.peer_python)) if arguments.peer_python else None
        tables = [*speed(place, peer, sizes, arguments.rounds), "", *equality(place)]
        text = "\n".join([*tables, "", where(place, peer)])
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.gpu", text)


def shrink(data: Path) -> None:
    """Cut the file to what a CPU does in seconds."""
    import anndata

    cells = anndata.read_h5ad(data)[:600]
    seen = np.flatnonzero(np.asarray(cells.X.sum(0)).ravel() > 0)[:200]
    cells[:, seen].copy().write_h5ad(data)


def peer_on(place: Place, python: Path) -> AbstractContextManager[Contender]:
    """scvi-tools in a process of its own, on the same device."""
    accelerator = "gpu" if place.device == "cuda" else "cpu"
    program = Path(__file__).with_name("contender.py")
    return started(PEER, [str(python), str(program), PEER, place.data, accelerator], "")


def speed(place: Place, peer: Contender | None, sizes: list[str], rounds: int) -> list[str]:
    """Table of all packs."""
    config, on_gpu = place.config(), place.device == "cuda"
    alone = Pack(place, config, 1, recorded=False)
    found = [measured(place, "one run, operation by operation", alone, peer, alone, rounds)]
    for precision in ("float32", "tf32"):
        for size in sizes:
            place.emptied()
            n_runs = as_many_as_fit(place) if size == "auto" else int(size)
            pack = Pack(place, config, n_runs, on_gpu, precision)
            found.append(measured(place, f"{size}, {precision}", pack, peer, alone, rounds))
            del pack
    torch.backends.cuda.matmul.allow_tf32 = False
    head = [
        "pack",
        "runs",
        "ms a run and epoch: training",
        "evaluation",
        "training: times scvi-tools (range)",
    ]
    head += ["times one run (range)", f"runs an hour, {EPOCHS} epochs", "peak, MiB", "reckoned, MiB"]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(times.row() for times in found)]


def measured(place: Place, name: str, pack: Pack, peer: Contender | None, alone: Pack, rounds: int) -> Times:
    """Epochs by turns, after one of each that does not count."""
    times = Times(name, pack.n_runs)
    for number in range(rounds + 1):
        of_peer = peer.epoch()["wall"] if peer else None
        of_one = alone.epoch()[0]
        train, evaluation = pack.epoch()
        if number == 0:
            continue
        times.train.append(train / pack.n_runs)
        times.evaluation.append(evaluation / pack.n_runs)
        times.alone.append(of_one)
        times.peer += [] if of_peer is None else [of_peer]
    times.peak, times.estimate = place.peak(), reckoned(place, pack.n_runs)
    print(times.row(), file=sys.stderr, flush=True)
    return times


def as_many_as_fit(place: Place) -> int:
    free, _ = torch.cuda.mem_get_info()
    return max_pack_size(Experiment(place.config()), place.cells, USABLE * free)


def reckoned(place: Place, n_runs: int) -> float:
    """MiB that `bie.execution.packs` takes so many runs to need."""
    of_runs = n_runs * bytes_of_run(Experiment(place.config()), place.cells)
    return (bytes_of_cells(place.cells) + of_runs) / MIB


def where(place: Place, peer: Contender | None) -> str:
    device = torch.cuda.get_device_name() if place.device == "cuda" else "a CPU: a rehearsal"
    ours = f"torch {torch.__version__}; packs: {status(place.device)}"
    return f"{date.today()}, {device}. {ours}. {peer.version if peer else 'Without scvi-tools'}."


if __name__ == "__main__":
    main()
