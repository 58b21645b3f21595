"""Training many runs at once: packs of growing size beside a pack of one, and beside scvi-tools.

    python -m benchmarks.gpu [--sizes 1,4,16,64] [--rounds 5] [--peer-python ENVIRONMENT/bin/python] [--write]
    python -m benchmarks.gpu --device cpu --sizes 1,2

Data and model are those of `benchmarks.cpu`. The packs take turns, an epoch each, with scvi-tools among them
where its interpreter is given; a ratio is the median over the rounds of the ratios within a round, with its
range. An epoch includes its minibatches' rows, the noise and the way of the history back, not the evaluation.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import counts_like_pbmc
from benchmarks.contender import configured
from benchmarks.cpu import FOLDER, PEER, spread, started
from benchmarks.page import DOCS, processor, put
from bie.data.load import load
from bie.data.split import monte_carlo_split
from bie.embedders.trained import Trained
from bie.seeds import Streams
from bie.training.batches import Resident, minibatches
from bie.training.fit import Trainer
from bie.training.pack_steps import PackTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--sizes", default="1,4,16,64")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", type=Path, default=os.environ.get("BIE_ORACLE_PYTHON"))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("overrides", nargs="*", help="such as model=scvi_mine")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU that this torch can use: --device cpu measures on the CPU")
    sizes = [int(size) for size in arguments.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "counts.h5ad"
        counts_like_pbmc.write(data)
        peer = None
        if arguments.peer_python:
            accelerator = "gpu" if arguments.device == "cuda" else "cpu"
            command = [str(arguments.peer_python), str(FOLDER / "contender.py"), PEER, str(data), accelerator]
            peer = stack.enter_context(started(PEER, command, ""))
        packs = [Pack(size, data, arguments.device, arguments.overrides) for size in sizes]
        times = []
        for number in range(arguments.rounds + 1):
            times.append({pack.name: pack.epoch(number) for pack in packs})
            if peer:
                times[-1][PEER] = peer.epoch()["wall"]
            print(number, {name: round(t, 3) for name, t in times[-1].items()}, file=sys.stderr, flush=True)
    text = report(packs, times[1:], arguments.device)
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.gpu", text)


class Pack:
    """Runs that differ in their seeds."""

    def __init__(self, size: int, path: Path, device: str, overrides: list[str]) -> None:
        self.size, self.name = size, f"pack of {size}"
        config = configured(str(path), overrides)
        cells = load(config.dataset)
        self.batch_size, self.runs = config.train.batch_size, []
        trainers = []
        for seed in range(size):
            streams = Streams(seed)
            rows = monte_carlo_split(cells.n_cells, counts_like_pbmc.TRAIN_FRACTION, seed)
            embedder = Trained(config.model, config.penalty, config.train)
            member = embedder.member(cells, *rows, streams, lambda row: None)
            trainers.append(Trainer(member.model, member.penalty, config.train, streams, device))
            self.runs.append((member.train_rows, streams.numpy("minibatch")))
        self.data = Resident.of(cells, device)
        self.trainer = PackTrainer(trainers, self.data)

    def epoch(self, number: int) -> float:
        """Seconds, the last numbers on the host included."""
        began = time.perf_counter()
        parts = [list(minibatches(rows, self.batch_size, order)) for rows, order in self.runs]
        rows_rn = self.data.rows([np.concatenate(part) for part in parts])
        steps = self.trainer.epoch(rows_rn, [len(part) for part in parts[0]], number)
        torch.stack([step["loss"] for step in steps]).cpu()
        return time.perf_counter() - began


def report(packs: list[Pack], times: list[dict[str, float]], device: str) -> str:
    """Markdown: the table, and where it was measured."""
    has_peer = PEER in times[0]
    rows = ["| | s per epoch | ms per run and epoch | times a pack of the first size, per run (range) |"]
    rows[0] += " times scvi-tools (range) |" if has_peer else ""
    rows.append("|---" * (5 if has_peer else 4) + "|")
    first = packs[0]
    for pack in packs:
        each = [t[pack.name] / pack.size for t in times]
        gain = spread([t[first.name] / first.size / own for t, own in zip(times, each, strict=True)])
        cells = [pack.name, f"{median(t[pack.name] for t in times):.3f}", f"{1000 * median(each):.1f}", gain]
        cells += [spread([t[PEER] / own for t, own in zip(times, each, strict=True)])] if has_peer else []
        rows.append(f"| {' | '.join(cells)} |")
    name = torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, one thread"
    load = f"load {os.getloadavg()[0]:.1f}"
    where = f"{date.today()}, {name}, {load}, {len(times)} rounds, torch {torch.__version__}."
    return "\n".join([*rows, "", where])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
