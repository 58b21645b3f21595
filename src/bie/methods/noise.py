"""Control: latent vectors that know nothing, draws of N(0, I).

What they score is the floor of the agreement with the cell types and the ceiling of the mixing of batches.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.methods.base import Joint, Rows
from bie.seeds import Streams


@section
class NoiseSection(Control):
    """Section ``model``."""

    method: Literal["noise"]


class Noise(Joint):
    """Draws of N(0, I).

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: NoiseSection) -> None:
        self.settings = settings

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float64]:
        """One draw for each cell."""
        return streams.numpy("control").standard_normal((cells.n_cells, self.settings.n_latent))


build = Noise
