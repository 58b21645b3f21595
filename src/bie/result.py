"""What a run found: its latent vectors scored against batches, cell types and counts."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics, Model, RunConfig
from bie.data.cells import Cells
from bie.data.notes import confounding, of_rounding
from bie.errors import RunFailed
from bie.exports import exports
from bie.methods.base import Embedder
from bie.metrics import critic_audit
from bie.metrics.cards import LOSS_TERMS, NO_CRITIC, NO_LIKELIHOOD
from bie.metrics.score import Scores, score
from bie.seeds import Streams

LIBRARY_FOLD = 30.0
"""By how much mean total counts of batches may differ before a table says so: protocols, not samples."""


@dataclass(frozen=True)
class Result:
    """What one run found.

    Attributes
    ----------
    metrics
        Values by part (``train``, ``test``) and name; None where a metric cannot be computed.
    missing
        Why a metric is None: by name where it is missing in both parts, else by ``part.name``.
    notes
        What a reader of a value has to know, named in the same way; ``cells``: of the data set;
        ``perturb``: of what was done to it; ``training``: of how it was trained.
    probe_f1_by_batch
        F1 of the probe for each batch by its name, of each part; empty where there is none.
    history
        A row per epoch; none where nothing trains.
    files
        Contents of the files that were asked for, by name.
    seconds
        Wall time of each stage.
    ot_ratio_by_type
        OT ratio within each cell type by its name, of each part; empty where there is none.
    """

    metrics: dict[str, dict[str, float | None]]
    missing: dict[str, str]
    notes: dict[str, str]
    probe_f1_by_batch: dict[str, dict[str, float]]
    history: list[dict[str, float]]
    files: dict[str, bytes]
    seconds: dict[str, float]
    ot_ratio_by_type: dict[str, dict[str, float]] = field(default_factory=dict)


class Clock:
    """Wall time since the lap before, by stage; the time of earlier stages may be given."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on a stage."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


def scored(
    config: RunConfig,
    cells: Cells,
    parts: Mapping[str, NDArray[np.int64]],
    streams: Streams,
    embedder: Embedder,
    history: list[dict[str, float]],
    clock: Clock,
) -> Result:
    """Embed and score the cells with a fitted embedder.

    Parameters
    ----------
    config
        Configuration of the run.
    cells
        As perturbed, with the genes of the run.
    parts
        Rows of the training and of the test cells, by ``train`` and ``test``.
    streams
        Random streams of the run.
    embedder, history
        After `Embedder.fit`, and what that returned.
    clock
        With the wall time of the fit; that of embedding and scoring is added.

    Raises
    ------
    RunFailed
        The embedding is not finite.
    """
    z = {part: _finite(embedder.embed(cells, rows)) for part, rows in parts.items()}
    clock.lap("embed")
    terms = {part: embedder.loss_terms(cells, rows, streams) for part, rows in parts.items()}
    types = {part: embedder.classify(cells, rows) for part, rows in parts.items()}
    found = {
        part: evaluate(z, part, cells, parts, config.metrics, streams, terms[part], types[part])
        for part in parts
    }
    for part, scores in found.items():
        _audit(config, part, history, cells.n_batches, scores)
    clock.lap("score")
    return Result(
        metrics={part: scores.values for part, scores in found.items()},
        missing=_merged({part: scores.missing for part, scores in found.items()}),
        notes=_merged({part: scores.notes for part, scores in found.items()})
        | _of_cells(config, cells)
        | _of_training(config),
        probe_f1_by_batch={
            part: {cells.batches[batch]: f1 for batch, f1 in scores.f1_by_batch.items()}
            for part, scores in found.items()
        },
        ot_ratio_by_type={
            part: {cells.labels[label]: ratio for label, ratio in scores.ot_by_label.items()}
            for part, scores in found.items()
        },
        history=history,
        files=exports(config.save, embedder, cells, parts, z),
        seconds=clock.seconds,
    )


def evaluate(
    z: Mapping[str, NDArray[np.float32]],
    part: str,
    cells: Cells,
    parts: Mapping[str, NDArray[np.int64]],
    settings: Metrics,
    streams: Streams,
    terms: Mapping[str, float],
    predicted_n: NDArray[np.int64] | None = None,
) -> Scores:
    """Score the embedding of a part of the cells against their batches, cell types and counts.

    Parameters
    ----------
    z, part
        Latent vectors of each part; which part is scored. Probes are fitted on those of ``train``.
    cells, parts
        The data, and the rows of each part.
    settings, streams
        Section ``metrics``; random streams of the run.
    terms
        Parts of the loss (`LOSS_TERMS`), nats per cell, which are entered as they are.
    predicted_n
        Codes of the cell types that the model predicts for the cells of the part; None: it predicts none.
    """
    rows = parts[part]
    scores = score(
        z[part],
        cells.batch[rows],
        cells.n_batches,
        None if cells.label is None else cells.label[rows],
        cells.n_labels,
        settings,
        streams,
        fitted=None if part == "train" else (z["train"], cells.batch[parts["train"]]),
        counts_of=lambda places: cells.counts[rows[places]],
        factor_nf=None if cells.factors is None else cells.factors[rows],
        predicted_n=predicted_n,
    )
    for name in LOSS_TERMS:
        value = terms.get(name)
        is_finite = value is not None and math.isfinite(value)
        scores.values[name] = value if is_finite else None
        if not is_finite:
            scores.missing[name] = NO_LIKELIHOOD if value is None else f"its value is {value}"
    return scores


def _audit(
    config: RunConfig, part: str, history: list[dict[str, float]], n_batches: int, scores: Scores
) -> None:
    """Enter what the penalty's critic says of the dependence, and what the other metrics say of that."""
    term = config.penalty[1].critic_term if config.penalty else None
    value = critic_audit.bound(history[-1], part, term, n_batches) if term and history else None
    scores.values["critic_bound"] = value
    if value is None:
        scores.missing["critic_bound"] = NO_CRITIC
    if doubt := critic_audit.doubt(value, scores.values):
        scores.notes["critic_bound"] = doubt


def _of_cells(config: RunConfig, cells: Cells) -> dict[str, str]:
    """What the metrics cannot tell apart in this data set, and what the model has a hard time with."""
    said = list(confounding(cells))
    if getattr(config.dataset, "fractional", "refuse") == "round":
        said += of_rounding(cells)
    mean_b, _ = cells.library_moments()
    fold = math.exp(mean_b.max() - mean_b.min())
    if fold >= LIBRARY_FOLD and isinstance(config.model, Model) and config.model.library == "modelled":
        said.append(
            f"total counts of the batches differ {fold:,.0f}-fold: model.library=observed takes them as they "
            "are, where a modelled library size has to learn them"
        )
    notes = {"perturb": cells.perturbation, "cells": "; ".join(said)}
    return {name: text for name, text in notes.items() if text}


def _of_training(config: RunConfig) -> dict[str, str]:
    """What of the training is not as the provenance has it."""
    if config.penalty is None or config.penalty[1].preference is None:
        return {}
    return {"training": "by torch: there are no kernels for the two gradients that a preference weighs"}


def _finite(z_nd: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hand the embedding on, unless the last step of the training has ruined it."""
    if not np.isfinite(z_nd).all():
        raise RunFailed("nan", "the embedding is not finite; a smaller train.lr may help")
    return z_nd


def _merged(missing: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Name a metric once where both parts lack it for the same reason."""
    train, test = missing["train"], missing["test"]
    both = {name: reason for name, reason in train.items() if test.get(name) == reason}
    single = {f"{p}.{name}": why for p in missing for name, why in missing[p].items() if name not in both}
    return both | single
