"""Control: latent vectors that know the cell type and nothing else.

What they score is the ceiling of every metric: no embedding separates the types better, and where the batches
differ in composition none mixes them better without mixing types.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods.base import Joint, Rows, around_centres
from bie.schema import Positive
from bie.seeds import Streams


@section
class LabelsOnlySection(Control):
    """Section ``model``."""

    method: Literal["labels_only"]
    sd: Positive


class LabelsOnly(Joint):
    """Cells scattered around the centre of their type.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: LabelsOnlySection) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` without labels."""
        if cells.label is None:
            raise BadInput(
                f"model={self.settings.name}: the cells have no labels. Name their column, "
                "dataset.label_key=..., or leave this control out"
            )

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float64]:
        """One draw for each cell."""
        assert cells.label is not None  # see `check`
        return around_centres(cells.label, self.settings.n_latent, self.settings.sd, streams.numpy("control"))


build = LabelsOnly
