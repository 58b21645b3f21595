"""Control: latent vectors of other cells, the three shuffles of OpenProblems.

What a shuffle keeps apart it cannot lose, and what it mixes is mixed: among all cells nothing is left but
the shape of the cloud; within a batch what tells batches is left, and no cell type; within a type what tells
types is left, and no batch. These are floors and ceilings with the geometry of a real embedding (Luecken et
al. 2022, doi:10.1038/s41592-021-01336-8; OpenProblems, task batch integration).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods.base import Joint, Rows
from bie.methods.pca import Pca
from bie.seeds import Streams


@section
class ShuffledSection(Control):
    """Section ``model``."""

    method: Literal["shuffled"]
    within: Literal["all", "batch", "type"]


class Shuffled(Joint):
    """Principal components (`bie.methods.pca`), dealt out anew among all cells, those of a batch or of a
    type.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: ShuffledSection) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` without the labels to shuffle within, or if so many components do not exist."""
        if self.settings.within == "type" and cells.label is None:
            raise BadInput(
                f"model={self.settings.name}: the cells have no labels. Name their column, "
                "dataset.label_key=..., or leave this control out"
            )
        Pca(self.settings).check(cells, n_train)

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float32]:
        """Components of another cell for each cell; training and test cells are shuffled together."""
        pca = Pca(self.settings)
        pca.learn(cells, train, streams)
        rng = streams.numpy("control")
        source_n = np.arange(cells.n_cells)
        group_n = {"all": np.zeros_like(cells.batch), "batch": cells.batch, "type": cells.label}[
            self.settings.within
        ]
        assert group_n is not None  # see `check`
        for group in np.unique(group_n):
            own = np.flatnonzero(group_n == group)
            source_n[own] = rng.permutation(own)
        return pca.embed(cells, source_n)


build = Shuffled
