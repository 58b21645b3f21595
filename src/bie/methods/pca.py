"""Control: principal components of log-normalised counts, the embedding that most analyses start from.

Nothing corrects the batch: what a model gains over this, it gains by modelling counts and batches.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from bie.config import controls
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods.base import Embedder, Latent, Row, Rows
from bie.seeds import Streams


class Pca(Embedder):
    """Principal components, fitted on the training cells and applied to all.

    The counts of a cell are scaled to the median total count of the training cells, then ``log(1 + x)``, then
    centred gene by gene at the mean of the training cells. Genes are not scaled, none is left out.

    Parameters
    ----------
    settings
        Section ``model``; `n_latent` components.
    """

    def __init__(self, settings: controls.Pca | controls.Harmony) -> None:
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
        from sklearn.decomposition import PCA
        from threadpoolctl import threadpool_limits

        self._target = float(np.median(_totals(cells.counts[train])))
        seed = streams.integer("control")
        self._pca = PCA(self.settings.n_latent, svd_solver="arpack", random_state=seed)
        with threadpool_limits(1):  # sums in another order would change the last digits
            self._pca.fit(self._normalised(cells, train))

    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Coordinates of some cells."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return np.asarray(self._pca.transform(self._normalised(cells, rows)), np.float32)

    def _normalised(self, cells: Cells, rows: Rows) -> sp.csr_matrix:
        x_ng = cells.counts[rows].astype(np.float64)
        scaled_ng = sp.diags_array(self._target / _totals(x_ng)) @ x_ng
        return sp.csr_matrix(scaled_ng).log1p()


def _totals(x_ng: sp.csr_matrix) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.asarray(x_ng.sum(axis=1, dtype=np.float64)).ravel()


build = Pca
