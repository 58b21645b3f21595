"""Runs for packs, from what a user would type."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from bie.config import Model, RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.data.split import monte_carlo_split
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.seeds import Streams
from bie.training.checkpoint import CheckpointHook
from bie.training.fit import fit
from bie.training.loss import Row
from bie.training.run import History, TrainingRun

TINY = (
    "dataset.size=smoke",
    "dataset.n_cells=200",
    "train=smoke",
    "train.epochs=3",
    "train.batch_size=50",
    "model.n_hidden=16",
)
"""120 training cells: minibatches of 50, 50 and 20."""

CRITICS = ("mine", "adversarial", "club", "rce")


def configs(configurations: Configurations, *typed: str) -> list[RunConfig]:
    critics = [name for name in CRITICS if any(name in text for text in typed)]
    penalties = [f"{name}.{small}" for name in critics for small in ("n_hidden=16", "steps=2")]
    found = expand((*TINY, *penalties, *typed), configurations).combinations
    return [each.config.model_copy(update={"seed": seed}) for each in found for seed in each.seeds]


def cells_of(config: RunConfig) -> Cells:
    """In double precision, where a difference of formula cannot hide behind rounding."""
    cells = load(config.dataset)
    return replace(cells, counts=cells.counts.astype(np.float64))


def member(
    config: RunConfig,
    cells: Cells,
    on_epoch: Callable[[Row], None] = lambda row: None,
    hook: CheckpointHook | None = None,
) -> TrainingRun:
    streams = Streams(config.seed)
    rows = monte_carlo_split(cells.n_cells, config.split.train_fraction, config.seed)
    mean, variance = map(torch.from_numpy, cells.library_moments())
    assert isinstance(config.model, Model)
    init, sizes = streams.torch("init"), (cells.n_genes, cells.n_batches)
    model = Scvi(*sizes, config.model, mean, variance, init, cells.n_labels)
    penalty = build_penalty(config.penalty, config.model.n_latent, cells.n_batches, streams)
    if cells.counts.dtype == np.float64:
        model.double()
        penalty = penalty.double() if penalty else None
    return TrainingRun(model, penalty, *rows, config.train, streams, on_epoch, hook or CheckpointHook())


def alone(run: TrainingRun, cells: Cells) -> History:
    (fitted,) = fit([run], cells)
    return fitted.finished()
