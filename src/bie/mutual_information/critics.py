"""Critics: functions T(z, batch) that score how likely a latent vector and a batch belong together."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from bie.kernels.mlp import layers, mlp


class Mlp(nn.Module):
    """Linear layers with ELU between them (Clevert et al. 2016), all parameters in one vector.

    Every axis counts from the right: parameters stacked on a leading axis give as many networks in one.

    Parameters
    ----------
    widths
        Inputs of each layer and outputs of the last.
    init
        Stream of the initial weights, uniform within ±1/sqrt(n_in) as in `torch.nn.Linear`.
    """

    def __init__(self, widths: tuple[int, ...], init: torch.Generator) -> None:
        super().__init__()
        self.widths = widths
        draws = []
        for n_in, n_out in pairwise(widths):
            bound = n_in**-0.5
            draws.append(torch.empty((n_in + 1) * n_out).uniform_(-bound, bound, generator=init))
        self.vector = nn.Parameter(torch.cat(draws))

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Views of weight ``(..., inputs, outputs)`` and bias ``(..., 1, outputs)`` of each layer."""
        return layers(self.vector, self.widths)

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Map ``(..., n, widths[0])`` to ``(..., n, widths[-1])``; `frozen` parameters get no gradient."""
        return mlp(x, self.vector.detach() if frozen else self.vector, self.widths)


class MlpCritic(nn.Module):
    """A network on the latent vector and the one-hot batch, side by side.

    Both enter the first layer together, so that the hidden units see their interaction; a critic of the
    form ``a(batch) + b(z)`` cannot see any dependence (`bie.mutual_information.estimators.dv_bound`).

    Parameters
    ----------
    n_latent, n_batches
        Columns of the two inputs.
    n_hidden, n_layers
        Units of each hidden layer, hidden layers.
    init
        Stream of the initial weights.
    """

    def __init__(
        self, n_latent: int, n_batches: int, n_hidden: int, n_layers: int, init: torch.Generator
    ) -> None:
        super().__init__()
        self.network = Mlp((n_latent + n_batches, *[n_hidden] * n_layers, 1), init)

    def forward(self, z_nd: Tensor, batch_nb: Tensor) -> Tensor:
        """Score rows of latent vectors ``(..., n, d)`` and one-hot batches ``(..., n, b)``: ``(..., n)``."""
        score_n1: Tensor = self.network(torch.cat((z_nd, batch_nb), -1))
        return score_n1.squeeze(-1)


class SeparableCritic(nn.Module):
    """A network on the latent vector with an output for each batch: the score with it.

    The separable critic of Poole et al. 2019 (On variational bounds of mutual information, ICML), an inner
    product of functions of z and of the batch, where the latter is the one-hot batch. It can be any function
    of the two, as `MlpCritic` can, and tells the scores of a cell with all batches at once.

    Parameters
    ----------
    n_latent, n_batches, n_hidden, n_layers, init
        As for `MlpCritic`.
    """

    def __init__(
        self, n_latent: int, n_batches: int, n_hidden: int, n_layers: int, init: torch.Generator
    ) -> None:
        super().__init__()
        self.network = Mlp((n_latent, *[n_hidden] * n_layers, n_batches), init)

    def forward(self, z_nd: Tensor, batch_nb: Tensor | None = None) -> Tensor:
        """As that of `MlpCritic`; without batches the scores with each of them, ``(..., n, b)``."""
        score_nb: Tensor = self.network(z_nd)
        return score_nb if batch_nb is None else (score_nb * batch_nb).sum(-1)
