"""What a run leaves besides its record, where that is asked for: the model, the embedding."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bie.config import Save
from bie.data.cells import Cells
from bie.methods.base import Embedder
from bie.methods.saved import content
from bie.methods.trained import Trained
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
    if save.model and isinstance(embedder, Trained):  # controls have no model to keep
        files[MODEL] = content(embedder, cells, parts)
    if save.embedding:
        columns: dict[str, Any] = _embedding(cells, parts, z)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **columns)
        files[EMBEDDING] = buffer.getvalue()
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
