"""What a run leaves besides its record, where that is asked for: the model, the embedding."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bie.config import Save
from bie.data.cells import Cells
from bie.methods.base import Embedder
from bie.store.record import EMBEDDING, MODEL


def exports(
    save: Save,
    embedder: Embedder,
    cells: Cells,
    parts: Mapping[str, NDArray[np.int64]],
    z: Mapping[str, NDArray[np.float32]],
) -> dict[str, bytes]:
    """Contents of the files that were asked for, by name.

    Parameters
    ----------
    save
        ``model.pt``: weights, with the names they belong to; ``embedding.npz``: latent vectors, with theirs.
    embedder, cells
        What was fitted to what.
    parts, z
        Rows of the train and of the test cells, and their latent vectors.
    """
    files = {}
    state = embedder.state() if save.model else None
    if state is not None:
        facts = {
            "genes": cells.gene_names.tolist(),
            "batches": list(cells.batches),
            "labels": list(cells.labels),
        }
        files[MODEL] = _bytes(lambda file: torch.save({"state": state, **facts}, file))
    if save.embedding:
        columns: dict[str, Any] = _embedding(cells, parts, z)
        files[EMBEDDING] = _bytes(lambda file: np.savez_compressed(file, **columns))
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
