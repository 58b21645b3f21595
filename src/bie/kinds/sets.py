"""Can a network on sets see what their mean does not? sets -> transform -> learn -> retrieve.

Classes differ in their covariance alone, or in their shape alone; sets of some classes train, sets of the
others are to be found by those of their class.
"""

from collections.abc import Callable

import numpy as np

from bie.config import Data, RunConfig
from bie.config.sets import DeepSets, Sets
from bie.errors import RunFailed
from bie.kinds.point_sets import HELD_OUT, N_CLASSES, Floats, PointSets, draw
from bie.metrics.retrieval import retrieval
from bie.result import Clock, Result
from bie.seeds import Streams

TRAIN = tuple(i for i in range(N_CLASSES) if i not in HELD_OUT)

Row = dict[str, float]
Vectors = Callable[[PointSets], Floats]


def about(dataset: Data) -> str:
    """Number of the sets and of their points."""
    assert isinstance(dataset, Sets)
    return f"{N_CLASSES * dataset.n_sets} sets of {dataset.n_points:,} points, drawn anew for each seed"


def check(config: RunConfig) -> None:
    """Any configuration that passed can be run."""


def experiment(config: RunConfig, on_epoch: Callable[[Row], None]) -> Result:
    """Make vectors of the sets and look for those of the same class, among classes seen and held out."""
    assert isinstance(config.dataset, Sets)
    clock, streams = Clock(), Streams(config.seed, config.own_seeds)
    seed = config.own_seeds.get("split_seed", config.seed)
    sets = draw(config.dataset, Streams(seed).numpy("sets"))
    parts = {"train": sets.of(TRAIN), "test": sets.of(HELD_OUT)}
    clock.lap("draw")

    vectors, history = _learn(config, parts["train"], streams, on_epoch)
    clock.lap("fit")
    found = {part: retrieval(_finite(vectors(own)), own.class_s) for part, own in parts.items()}
    clock.lap("score")
    return Result(
        metrics={part: dict(values) for part, values in found.items()},
        missing={},
        notes={},
        probe_f1_by_batch={},
        history=history,
        files={},
        seconds=clock.seconds,
    )


def _learn(
    config: RunConfig, train: PointSets, streams: Streams, on_epoch: Callable[[Row], None]
) -> tuple[Vectors, list[Row]]:
    """What makes vectors of sets, and its history."""
    if not isinstance(config.model, DeepSets):
        return lambda sets: sets.x_smd.mean(axis=1), []
    from bie.kinds.set_network import TrainedSets

    trained = TrainedSets(config.model, streams)
    history = trained.fit(train, on_epoch)
    return trained.vectors, history


def _finite(z_sd: Floats) -> Floats:
    if not np.isfinite(z_sd).all():
        raise RunFailed("nan", "the vectors of the sets are not finite; a smaller model.lr may help")
    return z_sd
