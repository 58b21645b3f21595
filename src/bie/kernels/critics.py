"""All steps of a critic on one minibatch, in one call; defined by `bie.penalties.base.Penalty.learn`."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.donsker_varadhan import Average
from bie.kernels.mlp import check_width
from bie.kernels.native import call, sizes


class Learner(NamedTuple):
    """Parameters and widths of a network, as for `bie.kernels.mlp.mlp`, and its optimiser; both change."""

    vector: Tensor
    widths: tuple[int, ...]
    optimiser: CompiledAdam


def learn_bound(
    learner: Learner,
    z_nd: Tensor,
    batch_n: Tensor,
    input_bc: Tensor,
    orders: Sequence[Tensor],
    average: Average,
) -> None:
    """Steps on the gradient of ``critic_objective`` (`bie.mutual_information.estimators`).

    Parameters
    ----------
    learner
        Critic of a latent vector and a batch, side by side.
    z_nd, batch_n, input_bc
        Latent vectors, codes, what the critic sees of each batch.
    orders
        For each step a permutation of the cells: whose batch a cell gets in the independent pairs.
    average
        Updated by the scores of each step.
    """
    shape = len(orders), *z_nd.shape, input_bc.shape[1]
    check_width(z_nd.shape[1] + input_bc.shape[1], learner.widths)
    order = torch.stack([*orders]).int()
    given = z_nd.contiguous(), batch_n.int(), input_bc, order
    call("learn_bound", *shape, *_network(learner), *given, *_optimiser(learner, len(orders)), *average)


def learn_classes(learner: Learner, z_nd: Tensor, class_n: Tensor, n_steps: int) -> None:
    """Steps on the gradient of the cross-entropy to the true classes, all of which count equally."""
    check_width(z_nd.shape[1], learner.widths)
    given = z_nd.contiguous(), class_n.int()
    call("learn_classes", n_steps, len(z_nd), *_network(learner), *given, *_optimiser(learner, n_steps))


def _network(learner: Learner) -> tuple[object, ...]:
    return len(learner.widths) - 1, sizes(learner.widths)


def _optimiser(learner: Learner, n_steps: int) -> tuple[object, ...]:
    own = learner.optimiser
    numbers = own.beta1, own.beta2, own.eps, own.weight_decay
    return learner.vector, torch.tensor(own.rates(n_steps)), own.mean, own.square, *numbers
