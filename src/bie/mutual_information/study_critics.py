"""The critics of the 2019 study; s is its batch, there a column of codes, here any number of columns.

==============  ================================================  ==========================================
`MineNet`       ``relu(linear(s) + blocks(z))``                   blind but for the outer ReLU
`MineNet2`      ``relu(blocks(s) + blocks(z))``                   blind
`MineNet3`      ``linear(relu(linear(s) + linear(z)))``           sees dependence
`MineNet4`      a perceptron on z and s side by side              sees dependence
==============  ================================================  ==========================================

A block is that of scVI: linear, batch norm, ReLU, the last of a network with one unit included. With a critic
``a(s) + b(z)`` the bound of Donsker and Varadhan is at most 0 whatever the data (Jensen, twice). The first
sees what it sees through the kink of its outer ReLU alone; the second adds two numbers that are not negative,
where that ReLU has no kink. Batch norm takes its moments over the rows of one call; independent pairs that
are the same rows in another order do not change them.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from bie.models.layers import HiddenLayers, Linear


def blocks(n_in: int, n_hidden: int, n_layers: int, init: torch.Generator) -> nn.Sequential:
    """``(..., n, n_in)`` to ``(..., n, 1)`` by `n_layers` blocks, all but the last of `n_hidden` units."""
    widths = [n_in] + [n_hidden] * (n_layers - 1) + [1]
    return nn.Sequential(*(HiddenLayers(before, after, 1, init) for before, after in pairwise(widths)))


class MineNet(nn.Module):
    """``relu(linear(s) + blocks(z))``.

    Parameters
    ----------
    n_latent, n_columns
        Columns of z and of s.
    n_hidden, n_layers
        Units of the hidden blocks, blocks; n_hidden_z and n_layers_z of the study.
    init
        Stream of the initial weights, uniform within ±1/sqrt(n_in) as in `torch.nn.Linear`.
    """

    def __init__(
        self, n_latent: int, n_columns: int, n_hidden: int, n_layers: int, init: torch.Generator
    ) -> None:
        super().__init__()
        self.of_batch = Linear(n_columns, 1, init)
        self.of_latent = blocks(n_latent, n_hidden, n_layers, init)

    def forward(self, z_nd: Tensor, batch_nc: Tensor) -> Tensor:
        """Score rows of latent vectors ``(..., n, d)`` and batches ``(..., n, c)``: ``(..., n)``."""
        score_n1: Tensor = (self.of_batch(batch_nc) + self.of_latent(z_nd)).relu()
        return score_n1.squeeze(-1)


class MineNet2(nn.Module):
    """``relu(blocks(s) + blocks(z))``; parameters as for `MineNet`."""

    def __init__(
        self, n_latent: int, n_columns: int, n_hidden: int, n_layers: int, init: torch.Generator
    ) -> None:
        super().__init__()
        self.of_batch = blocks(n_columns, n_hidden, n_layers, init)
        self.of_latent = blocks(n_latent, n_hidden, n_layers, init)

    def forward(self, z_nd: Tensor, batch_nc: Tensor) -> Tensor:
        """As that of `MineNet`."""
        score_n1: Tensor = (self.of_batch(batch_nc) + self.of_latent(z_nd)).relu()
        return score_n1.squeeze(-1)


class MineNet3(nn.Module):
    """``linear(relu(linear(s) + linear(z)))`` with `n_hidden` units; parameters as for `MineNet`."""

    def __init__(self, n_latent: int, n_columns: int, n_hidden: int, init: torch.Generator) -> None:
        super().__init__()
        self.of_batch = Linear(n_columns, n_hidden, init)
        self.of_latent = Linear(n_latent, n_hidden, init)
        self.score = Linear(n_hidden, 1, init)

    def forward(self, z_nd: Tensor, batch_nc: Tensor) -> Tensor:
        """As that of `MineNet`."""
        score_n1: Tensor = self.score((self.of_batch(batch_nc) + self.of_latent(z_nd)).relu())
        return score_n1.squeeze(-1)


class MineNet4(nn.Module):
    """Hidden layers of 32 and 16 units (ReLU) on z and s side by side; parameters as for `MineNet`."""

    def __init__(self, n_latent: int, n_columns: int, init: torch.Generator) -> None:
        super().__init__()
        self.first = Linear(n_latent + n_columns, 32, init)
        self.second = Linear(32, 16, init)
        self.score = Linear(16, 1, init)

    def forward(self, z_nd: Tensor, batch_nc: Tensor) -> Tensor:
        """As that of `MineNet`."""
        h = self.first(torch.cat((z_nd, batch_nc), -1)).relu()
        score_n1: Tensor = self.score(self.second(h).relu())
        return score_n1.squeeze(-1)
