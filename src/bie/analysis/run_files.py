"""What finished runs left beside their records: histories and embeddings."""

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.store.paths import Tree
from bie.store.record import EMBEDDING, HISTORY

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Embedding:
    """Latent vectors of a run: ``z`` of shape (n cells, d), and of each cell its name, batch and type."""

    z: NDArray[np.float32]
    cell: NDArray[np.str_]
    batch: NDArray[np.str_]
    label: NDArray[np.str_] | None


def read_histories(
    tree: Tree, runs: "pd.DataFrame", seen: list[Path] | None = None
) -> Iterator["tuple[Any, pd.DataFrame]"]:
    """History of each run that has one which can be read, with the run's label in `runs`.

    Parameters
    ----------
    seen
        Takes the paths that were looked at.
    """
    import pandas as pd

    for label, row in zip(runs.index, runs.to_dict("records"), strict=True):
        path = tree.run_dir(row["dataset"], row["model"], row["config_id"], row["seed"]) / HISTORY
        if seen is not None:
            seen.append(path)
        with contextlib.suppress(OSError, ValueError):  # pandas' own errors are ValueErrors
            found = pd.read_csv(path)
            if "epoch" in found and len(found):
                yield label, found


def read_embedding(tree: Tree, row: Any, seen: list[Path]) -> Embedding | None:
    """Embedding of a run; None where it was not saved or cannot be read. `seen` takes the path."""
    path = tree.run_dir(row["dataset"], row["model"], row["config_id"], row["seed"]) / EMBEDDING
    seen.append(path)
    try:
        with np.load(path, allow_pickle=False) as found:
            return Embedding(found["z"], found["cell"], found["batch"], found.get("label"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
