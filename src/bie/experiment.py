"""The method, top to bottom: cells -> split -> genes -> train -> embed -> score."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics, RunConfig
from bie.data.cells import Cells
from bie.data.hvg import most_variable
from bie.data.split import monte_carlo_split
from bie.errors import RunFailed
from bie.exports import exports
from bie.methods import build_embedder
from bie.methods.base import Embedder
from bie.metrics.cards import LOSS_TERMS
from bie.metrics.score import score
from bie.seeds import Streams
from bie.training.checkpoint import Keeper

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Result:
    """What one run found.

    Attributes
    ----------
    metrics
        Values by part (``train``, ``test``) and name; None where a metric cannot be computed.
    missing
        Why a metric is None: by name where it is missing in both parts, else by ``part.name``.
    history
        A row per epoch; none where nothing trains.
    files
        Contents of the files that were asked for, by name.
    seconds
        Wall time of each stage.
    """

    metrics: dict[str, Scores]
    missing: dict[str, str]
    history: list[dict[str, float]]
    files: dict[str, bytes]
    seconds: dict[str, float]


def experiment(
    config: RunConfig,
    cells: Cells,
    on_epoch: Callable[[dict[str, float]], None],
    keeper: Keeper | None = None,
) -> Result:
    """Run one experiment. The same config and cells give the same result, timing apart.

    Parameters
    ----------
    config, cells
        What to run, on what.
    on_epoch
        Called with each row of the history as it is made.
    keeper
        Lets the training go on from an earlier one's state, and leaves its own; see `fit`.

    Raises
    ------
    RunFailed
        Training diverged.
    """
    streams, clock = streams_of(config), Clock()
    parts = split(config, cells)
    cells = with_genes(config, cells)

    embedder = build_embedder(config.model, config.penalty, config.train, keeper)
    history = embedder.fit(cells, parts["train"], parts["test"], streams, on_epoch)
    clock.lap("fit")
    return scored(config, cells, embedder, history, clock)


def split(config: RunConfig, cells: Cells) -> dict[str, NDArray[np.int64]]:
    """Rows of the training and of the test cells."""
    seed = config.own_seeds.get("split_seed", config.seed)
    train, test = monte_carlo_split(cells.n_cells, config.split.train_fraction, seed)
    return {"train": train, "test": test}


def streams_of(config: RunConfig) -> Streams:
    """Where all other randomness of a run comes from."""
    return Streams(config.seed, config.own_seeds)


def with_genes(config: RunConfig, cells: Cells) -> Cells:
    """The cells with the genes that the run models: all, or those that vary most among its training cells."""
    if config.dataset.n_top_genes is None:
        return cells
    train = split(config, cells)["train"]
    return most_variable(cells, train, config.dataset.n_top_genes, config.dataset.hvg)


def scored(
    config: RunConfig, cells: Cells, embedder: Embedder, history: list[dict[str, float]], clock: "Clock"
) -> Result:
    """Embed and score what has been fitted; `cells` with the genes of the run."""
    streams, parts = streams_of(config), split(config, cells)
    z = {part: _finite(embedder.embed(cells, rows)) for part, rows in parts.items()}
    clock.lap("embed")

    metrics: dict[str, Scores] = {}
    missing: dict[str, dict[str, str]] = {}
    for part, rows in parts.items():
        fitted = None if part == "train" else (z["train"], cells.batch[parts["train"]])
        scores, missing[part] = evaluate(z[part], cells, rows, config.metrics, streams, fitted)
        terms = embedder.loss_terms(cells, rows, streams)
        metrics[part] = {**scores, **(terms or dict.fromkeys(LOSS_TERMS))}
        missing[part] |= {} if terms else dict.fromkeys(LOSS_TERMS, "no likelihood")
    clock.lap("score")
    return Result(
        metrics, _merged(missing), history, exports(config.save, embedder, cells, parts, z), clock.seconds
    )


def evaluate(
    z_nd: NDArray[np.float32],
    cells: Cells,
    rows: NDArray[np.int64],
    settings: Metrics,
    streams: Streams,
    fitted: tuple[NDArray[np.float32], NDArray[np.int64]] | None,
) -> tuple[Scores, dict[str, str]]:
    """Score the embedding of some cells against their batches and cell types.

    `fitted`: latent vectors and batches of the cells that trained, unless these are they.
    """
    label_n = None if cells.label is None else cells.label[rows]
    batch_n = cells.batch[rows]
    return score(z_nd, batch_n, cells.n_batches, label_n, cells.n_labels, settings, streams, fitted)


def _finite(z_nd: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hand the embedding on, unless the last step of the training has ruined it."""
    if not np.isfinite(z_nd).all():
        raise RunFailed("nan", "the embedding is not finite; a smaller train.lr may help")
    return z_nd


class Clock:
    """Wall time since the lap before, by stage; the time of earlier stages may be given."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on a stage."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


def _merged(missing: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Name a metric once where both parts lack it for the same reason."""
    train, test = missing["train"], missing["test"]
    both = {name: reason for name, reason in train.items() if test.get(name) == reason}
    single = {f"{p}.{name}": why for p in missing for name, why in missing[p].items() if name not in both}
    return both | single
