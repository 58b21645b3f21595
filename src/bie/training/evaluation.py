"""What is read off a trained model: latent vectors, and the parts of its loss."""

import numpy as np
import torch
from numpy.typing import NDArray

from bie.data.cells import Cells
from bie.models.compiled import CompiledScvi, has_kernels
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.seeds import Streams
from bie.training.batches import Take, chunks, dense, sparse
from bie.training.loss import Row, mean_over, mean_parts, numbers
from bie.training.run import EVALUATION


@torch.inference_mode()
def embed(model: Scvi, cells: Cells, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Embedding of some cells: posterior means in evaluation mode.

    Returns
    -------
    NDArray
        ``z_nd``, float32, in the order of `rows`. The model is left in evaluation mode.
    """
    model.eval()
    passes, take = _fastest(model)
    means = (passes.posterior_mean(*take(cells, part)[:2]).numpy() for part in chunks(rows))
    return np.concatenate(list(means))


@torch.inference_mode()
def loss_terms(model: Scvi, cells: Cells, rows: NDArray[np.int64], streams: Streams) -> Row:
    """Parts of the loss on some cells in evaluation mode, KL at full weight.

    Draws are the same at each call, so that two calls differ by the model only.

    Returns
    -------
    Row
        ``elbo`` (negative, the sum of the others), ``reconstruction``, ``kl_z``, ``kl_library``: nats per
        cell, lower better. The model is left in evaluation mode.
    """
    model.eval()
    noise, (passes, take) = Noise(streams.torch(EVALUATION[0])), _fastest(model)

    def terms_of(part: NDArray[np.int64]) -> Row:
        x_ng, batch_n, label_n = take(cells, part)
        return numbers(mean_parts(passes(x_ng, batch_n, noise, label_n)))

    return mean_over((len(part), terms_of(part)) for part in chunks(rows))


def _fastest(model: Scvi) -> tuple[CompiledScvi | Scvi, Take]:
    """A model as it is called on cells, in kernels where there are any, and what makes minibatches for it."""
    return (CompiledScvi(model), sparse) if has_kernels(model) else (model, dense)
