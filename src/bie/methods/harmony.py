"""Harmony (Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0), as the package harmonypy has it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.methods.base import Joint, Rows, needs
from bie.methods.pca import Pca
from bie.schema import Count, NonNegative
from bie.seeds import Streams


@section
class HarmonySection(Control):
    """Section ``model``."""

    method: Literal["harmony"]
    theta: NonNegative
    iterations: Count


class Harmony(Joint):
    """Principal components of the training cells, corrected for all cells at once.

    Harmony has no way to embed new cells: training and test cells are corrected together, so that its scores
    on test cells are not those of cells it has never seen. It sees no labels.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: HarmonySection) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` without harmonypy, or if so many components do not exist."""
        needs("harmonypy>=2", "harmonypy", self.settings.name)
        Pca(self.settings).check(cells, n_train)

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float64]:
        """Corrected components, on one thread."""
        from harmonypy import run_harmony

        pca = Pca(self.settings)
        pca.learn(cells, train, streams)
        found = run_harmony(
            pca.embed(cells, np.arange(cells.n_cells)).astype(np.float64),
            {"batch": cells.batch},
            "batch",
            theta=self.settings.theta,
            max_iter_harmony=self.settings.iterations,
            random_state=streams.integer("harmony") >> 1,  # a signed number there
            verbose=False,
            ncores=1,
        )
        return np.asarray(found.Z_corr, np.float64)


build = Harmony
