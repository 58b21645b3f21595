"""The method, top to bottom: cells -> split -> train -> embed -> score."""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bie.config import Metrics, RunConfig, Save
from bie.data.cells import Cells
from bie.data.split import monte_carlo_split
from bie.errors import RunFailed
from bie.metrics.score import score
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.seeds import Streams
from bie.training.checkpoint import Keeper
from bie.training.fit import embed, fit, loss_terms

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
        A row per epoch.
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
    streams, clock = Streams(config.seed), Clock()
    train, test = monte_carlo_split(cells.n_cells, config.split.train_fraction, config.seed)
    parts = {"train": train, "test": test}

    mean_b, var_b = map(torch.from_numpy, cells.library_moments())
    model = Scvi(cells.n_genes, cells.n_batches, config.model, mean_b, var_b, streams.torch("init"))
    penalty = build_penalty(config.penalty, config.model.n_latent, cells.n_batches, streams)
    history = fit(model, penalty, cells, train, test, config.train, streams, on_epoch, keeper)
    clock.lap("fit")

    z = {part: _finite(embed(model, cells, rows)) for part, rows in parts.items()}
    clock.lap("embed")

    metrics: dict[str, Scores] = {}
    missing: dict[str, dict[str, str]] = {}
    for part, rows in parts.items():
        scores, missing[part] = evaluate(z[part], cells, rows, config.metrics, streams)
        metrics[part] = {**scores, **loss_terms(model, cells, rows, streams)}
    clock.lap("score")
    return Result(
        metrics, _merged(missing), history, _files(config.save, model, cells, parts, z), clock.seconds
    )


def evaluate(
    z_nd: NDArray[np.float32], cells: Cells, rows: NDArray[np.int64], settings: Metrics, streams: Streams
) -> tuple[Scores, dict[str, str]]:
    """Score the embedding of some cells against their batches and cell types."""
    label_n = None if cells.label is None else cells.label[rows]
    kmeans, pools = streams.integer("kmeans"), streams.numpy("pools")
    return score(z_nd, cells.batch[rows], cells.n_batches, label_n, cells.n_labels, settings, kmeans, pools)


def _finite(z_nd: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hand the embedding on, unless the last step of the training has ruined it."""
    if not np.isfinite(z_nd).all():
        raise RunFailed("nan", "the embedding is not finite; a smaller train.lr may help")
    return z_nd


class Clock:
    """Wall time since the lap before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
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


def _files(
    save: Save,
    model: Scvi,
    cells: Cells,
    parts: Mapping[str, NDArray[np.int64]],
    z: Mapping[str, NDArray[np.float32]],
) -> dict[str, bytes]:
    files = {}
    if save.model:
        facts = {
            "genes": cells.gene_names.tolist(),
            "batches": list(cells.batches),
            "labels": list(cells.labels),
        }
        files["model.pt"] = _bytes(lambda file: torch.save({"state": model.state_dict(), **facts}, file))
    if save.embedding:
        columns: dict[str, Any] = _embedding(cells, parts, z)
        files["embedding.npz"] = _bytes(lambda file: np.savez_compressed(file, **columns))
    return files


def _embedding(
    cells: Cells, parts: Mapping[str, NDArray[np.int64]], z: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[Any]]:
    """Latent vectors with names, in the order of the dataset's cells."""
    rows = np.concatenate(list(parts.values()))
    order = np.argsort(rows)
    split = np.repeat(list(parts), [len(r) for r in parts.values()])[order]
    batch = np.asarray(cells.batches)[cells.batch]
    columns = {
        "z": np.concatenate(list(z.values()))[order],
        "cell": cells.cell_names[rows[order]],
        "split": split,
    }
    columns["batch"] = batch[rows[order]]
    if cells.label is not None:
        columns["label"] = np.asarray(cells.labels)[cells.label][rows[order]]
    return columns


def _bytes(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()
