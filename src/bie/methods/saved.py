"""A trained model as a file that stands for itself, and new cells through it."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from bie.config import Model, Train
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods.trained import Trained
from bie.schema import validated

NEW = -1
"""Batch code of a cell whose batch the model has not seen."""


def content(embedder: Trained, cells: Cells, parts: Mapping[str, NDArray[np.int64]]) -> bytes:
    """What ``model.pt`` holds: weights, the settings that they belong to, and the names of everything.

    Parameters
    ----------
    embedder, cells, parts
        What was fitted to what; rows of the train and of the test cells. Nothing but tensors and plain values
        goes into the file, so that it is read without running code from it.
    """
    buffer = io.BytesIO()
    names = {part: cells.cell_names[rows].tolist() for part, rows in parts.items()}
    facts = {
        "settings": {
            "model": embedder.settings.model_dump(mode="json"),
            "train": embedder.train.model_dump(mode="json"),
        },
        "genes": cells.gene_names.tolist(),
        "batches": list(cells.batches),
        "labels": list(cells.labels),
        "cells": names,
    }
    torch.save({"state": embedder.state(), **facts}, buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class SavedModel:
    """A model that was trained, with the names of what it was trained on.

    Attributes
    ----------
    embedder
        The model, its weights in it.
    genes, batches
        Names of its inputs, and of the batches that it knows.
    cells
        Names of the cells that trained it (``train``) and of those that were held out (``test``), each in the
        order in which the run embedded them.
    """

    embedder: Trained
    genes: tuple[str, ...]
    batches: tuple[str, ...]
    cells: Mapping[str, Sequence[str]]

    @property
    def sees_batch(self) -> bool:
        """Whether a latent vector depends on the batch of its cell, beside its counts."""
        return self.embedder.settings.encode_covariates

    def embed(
        self, x_ng: sp.csr_matrix, cell_names: NDArray[np.str_], batch_n: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Posterior means of cells.

        Parameters
        ----------
        x_ng
            Counts of the genes of the model, in their order, in the form of `bie.data.cells.Cells.counts`.
        cell_names
            Shape (n,). Cells of the run are embedded as the run did it, some at a time in its order, since
            sums of other groups of cells may be rounded otherwise.
        batch_n
            Codes of the model's batches, or `NEW`: such a cell gets the mean of the vectors that it would
            have in each of the batches. Not read unless `sees_batch`.

        Returns
        -------
        NDArray
            ``z_nd``.
        """
        known = np.maximum(batch_n, 0) if self.sees_batch else np.zeros_like(batch_n)
        z_nd = self._in_groups(x_ng, cell_names, known)
        new = np.flatnonzero(batch_n == NEW)
        if self.sees_batch and new.size:
            each = [
                self._in_groups(x_ng[new], cell_names[new], np.full(new.size, code))
                for code in range(len(self.batches))
            ]
            z_nd[new] = np.mean(each, axis=0, dtype=np.float64)
        return z_nd

    def _in_groups(
        self, x_ng: sp.csr_matrix, cell_names: NDArray[np.str_], batch_n: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Embed the training cells, the test cells and the others, each after the other."""
        names = tuple(str(code) for code in range(len(self.batches)))
        cells = Cells(x_ng, batch_n, names, None, (), cell_names, np.array(self.genes))
        z_nd = np.empty((cells.n_cells, self.embedder.settings.n_latent), np.float32)
        for rows in self._groups(cell_names):
            z_nd[rows] = self.embedder.embed(cells, rows)
        return z_nd

    def _groups(self, cell_names: NDArray[np.str_]) -> list[NDArray[np.int64]]:
        row = {name: i for i, name in enumerate(cell_names.tolist())}
        own = [[row[name] for name in names if name in row] for names in self.cells.values()]
        others = np.setdiff1d(np.arange(len(cell_names)), np.concatenate([[], *own]))
        return [rows for rows in (*(np.array(rows, np.int64) for rows in own), others) if rows.size]


def read_model(path: Path) -> SavedModel:
    """Read ``model.pt``; no code in it is run.

    Raises
    ------
    BadInput
        It is damaged, no model of bie, or one of an earlier bie that did not save its settings.
    """
    found = _loaded(path)
    missing = sorted({"state", "settings", "genes", "batches", "labels", "cells"} - found.keys())
    if missing:
        raise BadInput(f"{path} lacks {', '.join(missing)}, it was saved by an earlier bie. {_ANEW}")
    settings = found["settings"]
    embedder = Trained(validated(Model, settings["model"]), None, validated(Train, settings["train"]))
    try:
        embedder.restore(len(found["genes"]), len(found["batches"]), len(found["labels"]), found["state"])
    except RuntimeError as error:  # other shapes or names
        raise BadInput(
            f"{path}: its weights are not those of its settings ({_first(error)}). {_ANEW}"
        ) from None
    return SavedModel(embedder, tuple(found["genes"]), tuple(found["batches"]), found["cells"])


_ANEW = "bie embed --again trains the run anew"


def _loaded(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch itself does not look at the checksums
                raise ValueError(f"{damaged} is damaged")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}. {_ANEW}") from None
    except Exception as error:  # whatever unpickling stumbles over
        raise BadInput(f"{path} is no saved model, or a damaged one ({_first(error)}). {_ANEW}") from None
    return found if isinstance(found, dict) else {}


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".: ")
