"""A model as it is called on some cells: compiled where there are kernels for it, else as it is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bie.data.cells import Cells
from bie.models.compiled import CompiledScvi, has_kernels
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms
from bie.training.batches import Minibatch, dense, sparse


class Forward:
    """Calls a model on minibatches of the form that it takes.

    Parameters
    ----------
    model
        Whose parameters stay where they are in memory.

    Attributes
    ----------
    take
        Makes a minibatch of some rows of the cells.
    """

    def __init__(self, model: Scvi) -> None:
        compiles = has_kernels(model)
        self._model: Scvi | CompiledScvi = CompiledScvi(model) if compiles else model
        self.take: Callable[[Cells, NDArray[np.int64]], Minibatch] = sparse if compiles else dense

    def terms(self, batch: Minibatch, noise: Noise) -> Terms:
        """Latent vectors and parts of the loss; see `Scvi.forward`."""
        x_ng, batch_n, label_n = batch
        terms: Terms = self._model(x_ng, batch_n, noise, label_n)  # type: ignore[arg-type]
        return terms

    def posterior_mean(self, batch: Minibatch) -> Tensor:
        """See `Scvi.posterior_mean`."""
        x_ng, batch_n, _ = batch
        return self._model.posterior_mean(x_ng, batch_n)  # type: ignore[arg-type]
