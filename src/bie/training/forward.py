"""A model as it is called on some cells and goes down its loss: compiled where there are kernels for it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.data.cells import Cells
from bie.kernels.adam import CompiledAdam
from bie.kernels.counts import SparseCounts
from bie.models.compiled import CompiledScvi, has_kernels
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms
from bie.training.batches import Minibatch, dense, sparse
from bie.training.optimiser import Optimiser

Take = Callable[[Cells, NDArray[np.int64]], Minibatch]


class Forward(Protocol):
    """Calls a model on minibatches of the form that it takes.

    Attributes
    ----------
    take
        Makes a minibatch of some rows of the cells.
    """

    take: Take

    def terms(self, batch: Minibatch, noise: Noise) -> Terms:
        """Latent vectors and parts of the loss, which `descend` can follow back; see `Scvi.forward`."""

    def evaluate(self, batch: Minibatch, noise: Noise) -> Terms:
        """The same without gradient."""

    def posterior_mean(self, batch: Minibatch) -> Tensor:
        """See `Scvi.posterior_mean`."""

    def descend(self, loss: Tensor, kl_slope: float) -> None:
        """A step of the optimiser by the gradient of the loss that was made of the latest `terms`.

        `kl_slope` is its derivative by the mean KL of z, for those who follow no graph back.
        """


def called(model: Scvi, optimiser: Optimiser | None = None) -> Forward:
    """How a model is called, whose parameters stay where they are; to train it, with its optimiser."""
    if has_kernels(model) and (optimiser is None or isinstance(optimiser, CompiledAdam)):
        return Compiled(model, optimiser)
    return Dense(model, optimiser)


class Dense(Forward):
    """The model as it is, on dense tensors, by autograd."""

    def __init__(self, model: Scvi, optimiser: Optimiser | None) -> None:
        self._model, self._optimiser = model, optimiser
        self.take: Take = dense

    def terms(self, batch: Minibatch, noise: Noise) -> Terms:
        """See `Forward`."""
        x_ng, batch_n, label_n = batch
        terms: Terms = self._model(x_ng, batch_n, noise, label_n)
        return terms

    @torch.no_grad()
    def evaluate(self, batch: Minibatch, noise: Noise) -> Terms:
        """See `Forward`."""
        return self.terms(batch, noise)

    @torch.no_grad()
    def posterior_mean(self, batch: Minibatch) -> Tensor:
        """See `Forward`."""
        x_ng, batch_n, _ = batch
        assert isinstance(x_ng, Tensor)
        return self._model.posterior_mean(x_ng, batch_n)

    def descend(self, loss: Tensor, kl_slope: float) -> None:
        """See `Forward`."""
        assert self._optimiser is not None
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        self._optimiser.step()


class Compiled(Forward):
    """The model in kernels, on sparse counts.

    Reconstruction and divergences enter a loss by their means over the cells, whose derivatives are known;
    autograd is left with what a penalty makes of the latent vectors. Without optimiser gradients are left in
    ``parameter.grad``.
    """

    def __init__(self, model: Scvi, optimiser: CompiledAdam | None) -> None:
        self._model = CompiledScvi(model, optimiser)
        self.take: Take = sparse

    def terms(self, batch: Minibatch, noise: Noise) -> Terms:
        """See `Forward`."""
        return self._model.forward(*_sparse(batch), noise)

    def evaluate(self, batch: Minibatch, noise: Noise) -> Terms:
        """See `Forward`."""
        return self._model(*_sparse(batch), noise)

    def posterior_mean(self, batch: Minibatch) -> Tensor:
        """See `Forward`."""
        return self._model.posterior_mean(*_sparse(batch))

    def descend(self, loss: Tensor, kl_slope: float) -> None:
        """See `Forward`."""
        if loss.requires_grad:  # something is left to autograd
            torch.autograd.backward(loss)
        self._model.backward(kl_slope)


def _sparse(batch: Minibatch) -> tuple[SparseCounts, Tensor]:
    assert isinstance(batch.x_ng, SparseCounts)
    return batch.x_ng, batch.batch_n
