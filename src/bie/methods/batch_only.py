"""Control: latent vectors that know the batch and nothing else.

What they score is the floor of the mixing of the batches: every probe must find the batch in them.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.methods.base import Joint, Rows, around_centres
from bie.schema import Positive
from bie.seeds import Streams


@section
class BatchOnlySection(Control):
    """Section ``model``."""

    method: Literal["batch_only"]
    sd: Positive


class BatchOnly(Joint):
    """Cells scattered around the centre of their batch.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: BatchOnlySection) -> None:
        self.settings = settings

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float64]:
        """One draw for each cell."""
        return around_centres(cells.batch, self.settings.n_latent, self.settings.sd, streams.numpy("control"))


build = BatchOnly
