"""Control: principal components of log-normalised counts, the embedding that most analyses start from.

Nothing corrects the batch: what a model gains over this, it gains by modelling counts and batches.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.data.components import log_normalised, principal_components, totals
from bie.errors import BadInput
from bie.methods.base import Embedder, Latent, Row, Rows
from bie.seeds import Streams


@section
class PcaSection(Control):
    """Section ``model``."""

    method: Literal["pca"]


class Pca(Embedder):
    """Principal components, fitted on the training cells and applied to all.

    The counts of a cell are scaled to the median total count of the training cells, then ``log(1 + x)``, then
    centred gene by gene at the mean of the training cells. Genes are not scaled, none is left out.

    Parameters
    ----------
    settings
        Section ``model``; `n_latent` components.
    """

    def __init__(self, settings: Control) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` if so many components do not exist."""
        most = min(n_train, cells.n_genes) - 1
        if self.settings.n_latent > most:
            raise BadInput(
                f"model.n_latent={self.settings.n_latent}: {n_train} training cells in {cells.n_genes} genes "
                f"have {most} principal components to offer; at most {most} with model={self.settings.name}"
            )

    def fit(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> list[Row]:
        """Find the components; there are no epochs."""
        self.learn(cells, train, streams)
        return []

    def learn(self, cells: Cells, train: Rows, streams: Streams) -> None:
        """Find the components, by Lanczos iterations on the sparse matrix (ARPACK)."""
        self._target = float(np.median(totals(cells.counts[train])))
        y_ng = log_normalised(cells.counts[train], self._target)
        self._pca = principal_components(y_ng, self.settings.n_latent, streams.integer("control"))

    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Coordinates of some cells."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            y_ng = log_normalised(cells.counts[rows], self._target)
            return np.asarray(self._pca.transform(y_ng), np.float32)


build = Pca
