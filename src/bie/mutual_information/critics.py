"""Critics: functions T(z, batch) that score how likely a latent vector and a batch belong together."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import elu


class MlpCritic(nn.Module):
    """A network on the latent vector and the one-hot batch, side by side.

    Both enter the first layer together, so that the hidden units see their interaction; a critic of the
    form ``a(batch) + b(z)`` cannot see any dependence (`bie.mutual_information.estimators.dv_bound`).
    Parameters are (inputs, outputs) and (1, outputs) and every axis counts from the right: parameters
    stacked on a leading axis give as many critics in one.

    Parameters
    ----------
    n_latent, n_batches
        Columns of the two inputs.
    n_hidden, n_layers
        Units of each hidden layer (ELU; Clevert et al. 2016), hidden layers.
    init
        Stream of the initial weights, uniform within ±1/sqrt(n_in) as in `torch.nn.Linear`.
    """

    def __init__(
        self, n_latent: int, n_batches: int, n_hidden: int, n_layers: int, init: torch.Generator
    ) -> None:
        super().__init__()
        widths = [n_latent + n_batches] + [n_hidden] * n_layers + [1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in pairwise(widths):
            bound = n_in**-0.5
            self.weights.append(torch.empty(n_in, n_out).uniform_(-bound, bound, generator=init))
            self.biases.append(torch.empty(1, n_out).uniform_(-bound, bound, generator=init))

    def forward(self, z_nd: Tensor, batch_nb: Tensor) -> Tensor:
        """Score rows of latent vectors ``(..., n, d)`` and one-hot batches ``(..., n, b)``: ``(..., n)``."""
        h = torch.cat((z_nd, batch_nb), -1)
        *hidden, (weight, bias) = zip(self.weights, self.biases, strict=True)
        for hidden_weight, hidden_bias in hidden:
            h = elu(h @ hidden_weight + hidden_bias)
        score_n1: Tensor = h @ weight + bias
        return score_n1.squeeze(-1)
