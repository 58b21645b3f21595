"""Where the time of a step of training goes: each kernel, and all that is not a kernel.

    python -m benchmarks.step [DATA.h5ad ...] [--rounds 7] [--write]

Each model trains an epoch in turn, in one process on one thread; what is shown is its fastest epoch. Without
data: counts of the size of the PBMC set, and the same cells with their 500 most frequent genes alone.
``--write`` puts the tables into docs/performance.md.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import torch

from benchmarks import counts_like_pbmc
from benchmarks.contender import training
from benchmarks.page import DOCS, processor, put
from bie.kernels import native

MODELS = ("scvi", "scvi_mmd", "adversarial", "scvi_mine")
PARTS = {
    "heads and likelihood": ("log_likelihood",),
    "minibatch, sparse products": ("take_rows", "describe", "multiply", "multiply_transposed"),
    "hidden part": ("matmul", "hidden_forward", "hidden_backward", "normal_forward", "normal_backward"),
    "Adam": ("adam",),
    "penalty": ("mmd", "mine", "classifier"),
}
REST = "Python and torch"

Times = dict[str, float]  # ms a step


class Clock:
    """The library of kernels, with the seconds that each of them took."""

    def __init__(self, library: Any) -> None:
        self.library, self.seconds = library, defaultdict[str, float](float)

    def __getattr__(self, name: str) -> Callable[..., int]:
        return partial(self._timed, name, getattr(self.library, name))

    def _timed(self, name: str, kernel: Callable[..., int], *arguments: Any) -> int:
        begin = time.perf_counter()
        failed = kernel(*arguments)
        self.seconds[name] += time.perf_counter() - begin
        return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = native.kernels()
    if found.library is None:
        sys.exit(f"kernels: {found.status}")
    clock = Clock(found.library)
    timed: Any = clock
    native.kernels = lambda: native.Kernels(timed, found.status)  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or list(made(Path(folder)))
        text = "\n".join(line for path in data for line in table(path, clock, arguments.rounds))
    text += f"\n{date.today()}, {processor()}, torch {torch.__version__}, {arguments.rounds} rounds.\n"
    print(text)
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.step", text)


def made(folder: Path) -> Iterator[str]:
    """Files of simulated counts."""
    counts_like_pbmc.write(folder / "all.h5ad")
    cells = anndata.read_h5ad(folder / "all.h5ad")
    frequent = np.argsort(-np.asarray((cells.X > 0).sum(0)).ravel(), kind="stable")[:500]
    part = cells[:, np.sort(frequent)]
    part[np.asarray(part.X.sum(1)).ravel() > 0].write_h5ad(folder / "few.h5ad")
    yield from (str(folder / name) for name in ("all.h5ad", "few.h5ad"))


def table(path: str, clock: Clock, rounds: int) -> Iterator[str]:
    """Markdown."""
    models = {name: training(path, [f"model={name}"]) for name in MODELS}
    best = {name: dict.fromkeys((*PARTS, REST), float("inf")) for name in models}
    for number in range(rounds + 1):
        for name, epoch in models.items():
            times = measured(epoch, number, clock)
            if number and sum(times.values()) < sum(best[name].values()):
                best[name] = times
    cells = anndata.read_h5ad(path, backed="r")
    yield f"{cells.n_obs:,} cells x {cells.n_vars:,} genes, ms a step:"
    yield ""
    yield f"| model | {' | '.join((*PARTS, REST))} | step | of scvi's |"
    yield "|---" * (len(PARTS) + 4) + "|"
    plain = sum(best["scvi"].values())
    for name, times in best.items():
        step = sum(times.values())
        parts = " | ".join(f"{time:.2f}" for time in times.values())
        yield f"| {name} | {parts} | {step:.2f} | {step / plain:.2f} |"
    yield ""


def measured(epoch: Callable[[int], int], number: int, clock: Clock) -> Times:
    """Milliseconds of each part of a step, in the mean over an epoch."""
    clock.seconds.clear()
    begin = time.perf_counter()
    n_steps = epoch(number)
    whole = time.perf_counter() - begin
    seconds = {part: sum(clock.seconds[name] for name in names) for part, names in PARTS.items()}
    seconds[REST] = whole - sum(seconds.values())
    return {part: 1000 * spent / n_steps for part, spent in seconds.items()}


if __name__ == "__main__":
    main()
