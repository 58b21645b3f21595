"""Estimation of mutual information by trained critics."""

from collections.abc import Callable

import torch
from torch import nn

from bie.mutual_information.critics import MlpCritic, SeparableCritic
from bie.mutual_information.study_critics import MineNet, MineNet2, MineNet3, MineNet4


def build_critic(
    name: str, n_latent: int, n_columns: int, n_hidden: int, n_layers: int, init: torch.Generator
) -> nn.Module:
    """Build the critic of that name, a function of rows of z and rows of the batch.

    Parameters
    ----------
    name
        ``separable``, ``mlp``, ``mine_net``, ``mine_net2``, ``mine_net3`` or ``mine_net4``.
    n_latent, n_columns
        Columns of the two inputs; the separable critic takes a batch as a column of its own.
    n_hidden, n_layers
        Sizes, for the critics that leave them open.
    init
        Stream of the initial weights.
    """
    critics: dict[str, Callable[[], nn.Module]] = {
        "separable": lambda: SeparableCritic(n_latent, n_columns, n_hidden, n_layers, init),
        "mlp": lambda: MlpCritic(n_latent, n_columns, n_hidden, n_layers, init),
        "mine_net": lambda: MineNet(n_latent, n_columns, n_hidden, n_layers, init),
        "mine_net2": lambda: MineNet2(n_latent, n_columns, n_hidden, n_layers, init),
        "mine_net3": lambda: MineNet3(n_latent, n_columns, n_hidden, init),
        "mine_net4": lambda: MineNet4(n_latent, n_columns, init),
    }
    return critics[name]()
