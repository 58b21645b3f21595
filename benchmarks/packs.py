"""Packs as the benchmark of the GPU has them: an epoch at a time, and trained to an end and compared."""

import gc
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import counts_like_pbmc
from benchmarks.contender import configured
from bie.config import Model, RunConfig
from bie.data.cells import Cells
from bie.data.split import monte_carlo_split
from bie.methods import trained as methods
from bie.seeds import Streams
from bie.training.batches import Resident
from bie.training.fit import fit
from bie.training.graph import CudaGraphs, Replays, Unrecorded
from bie.training.run import Fitted, Progress, TrainingRun
from bie.training.stacked import Stacked

MIB = 2**20
MODELS = ("scvi", "scvi_mine")

Trained = tuple[list[TrainingRun], list[Fitted]]


@dataclass(frozen=True)
class Place:
    """Where packs train and on what."""

    device: str
    data: str
    cells: Cells

    def config(self, *overrides: str) -> RunConfig:
        return configured(self.data, list(overrides))

    def member(self, config: RunConfig, seed: int) -> TrainingRun:
        rows = monte_carlo_split(self.cells.n_cells, counts_like_pbmc.TRAIN_FRACTION, seed)
        assert isinstance(config.model, Model)
        built = methods.Trained(config.model, config.penalty, config.train)
        return built.run(self.cells, *rows, Streams(seed), lambda row: None)

    def done(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def emptied(self) -> None:
        """Give back what nothing refers to, and begin to watch the peak anew."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float:
        """MiB that torch had taken from the device, at most."""
        return torch.cuda.max_memory_reserved() / MIB if self.device == "cuda" else float("nan")


class Pack:
    """Runs of one configuration, an epoch at a time."""

    def __init__(
        self, place: Place, config: RunConfig, n_runs: int, recorded: bool, precision: str = "float32"
    ) -> None:
        self.place, self.n_runs, self.number = place, n_runs, 0
        self.kernels, self.precision = "" if recorded else "torch", precision
        self.members = [place.member(config, seed) for seed in range(n_runs)]
        self.under_way = [Progress(member, place.device) for member in self.members]
        replays = Replays(CudaGraphs if recorded else Unrecorded)
        self.engine = Stacked(self.under_way, Resident.of(place.cells, place.device), replays)
        self.test_rn = np.stack([member.test_rows for member in self.members])

    def epoch(self) -> tuple[float, float]:
        """Seconds of training, and of the evaluation of the held-out cells."""
        with patch.dict(os.environ, BIE_KERNELS=self.kernels):
            return self._epoch()

    def _epoch(self) -> tuple[float, float]:
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        began = time.perf_counter()
        parts = [run.minibatches() for run in self.under_way]
        rows_rn = np.stack([np.concatenate(part) for part in parts])
        self.engine.epoch(rows_rn, [len(part) for part in parts[0]], self.number)
        self.place.done()
        trained = time.perf_counter()
        self.engine.evaluate(self.test_rn)
        self.place.done()
        self.number += 1
        return trained - began, time.perf_counter() - trained


def equality(place: Place) -> list[str]:
    """Largest relative difference of a number of the history, and of a weight, over three epochs."""
    rows = [
        "| largest difference after 3 epochs | of the history (relative) | of a weight |",
        "|---|---|---|",
    ]
    for model in MODELS:
        config = place.config(f"model={model}", "train.epochs=3")
        together, found = trained(place, config, range(3))
        singles, expected = zip(*(trained(place, config, [seed]) for seed in range(3)), strict=True)
        plainly, plain = trained(place, config, range(3), kernels="torch")
        one_by_one = [member for (member,) in singles], [of_run for (of_run,) in expected]
        rows.append(difference(f"{model}: a pack of 3, and its runs alone", (together, found), one_by_one))
        name = f"{model}: graphs and fused likelihood, and torch operation by operation"
        rows.append(difference(name, (together, found), (plainly, plain)))
    return rows


def trained(place: Place, config: RunConfig, seeds: Iterable[int], kernels: str = "") -> Trained:
    """Runs of these seeds, trained together on the device."""
    with patch.dict(os.environ, BIE_KERNELS=kernels):
        members = [place.member(config, seed) for seed in seeds]
        return members, fit(members, place.cells, place.device)


def difference(name: str, ours: Trained, theirs: Trained) -> str:
    of_history = max(
        abs(a[key] - b[key]) / max(abs(b[key]), 1e-6)
        for one, other in zip(ours[1], theirs[1], strict=True)
        for a, b in zip(one.history, other.history, strict=True)
        for key in a
    )
    of_weights = max(
        float((a - b).abs().max())
        for one, other in zip(ours[0], theirs[0], strict=True)
        for a, b in zip(*(each.model.state_dict().values() for each in (one, other)), strict=True)
    )
    return f"| {name} | {of_history:.1e} | {of_weights:.1e} |"
