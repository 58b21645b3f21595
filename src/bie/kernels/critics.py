"""All steps of a critic on one minibatch in one call, and its judgement of the latent vectors in another.

Defined by `Penalty.learn` and `Penalty.encoder_loss` (`bie.penalties.base`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.adam import CompiledAdam
from bie.kernels.known import known
from bie.kernels.mlp import check_width
from bie.kernels.native import bind, call, sizes


class Average(NamedTuple):
    """State of a `bie.mutual_information.estimators.LogMovingAverage`, numbers in single precision."""

    log_rate: Tensor
    log_decay: Tensor
    n_updates: Tensor
    log_sum: Tensor


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


class FollowBound:
    """A critic on minibatches of n cells, its steps and then its judgement, on memory that stays where it is.

    Defined by `learn_bound` after `standardised` where that is asked for, then `judge_bound`.

    Parameters
    ----------
    learner, input_bc, average
        As for `learn_bound`; they must stay where they are in memory.
    n, d, n_steps
        Cells, latent dimensions, steps on each minibatch.
    least
        As for `standardised`; None: the critic sees the latent vectors as they are.
    """

    def __init__(
        self,
        learner: Learner,
        input_bc: Tensor,
        average: Average,
        n: int,
        d: int,
        n_steps: int,
        least: float | None,
    ) -> None:
        check_width(d + input_bc.shape[1], learner.widths)
        self._optimiser, self._n_steps = learner.optimiser, n_steps
        self._numbers, self._value, self._by = torch.empty(n_steps, 5), torch.empty(()), torch.empty(n, d)
        self._batch_n = torch.empty(n, dtype=torch.int32)
        self._orders = torch.empty(n_steps + 1, n, dtype=torch.int32)
        sizes_of_all = n_steps, n, d, input_bc.shape[1], *_network(learner), least is not None, least or 0.0
        own = learner.optimiser.mean, learner.optimiser.square, *average
        made = self._batch_n, self._orders, self._value, self._by
        self._call = bind("follow_bound", *sizes_of_all, input_bc, learner.vector, self._numbers, *own, *made)

    def __call__(self, latent_nd: Tensor, batch_n: Tensor, orders: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The bound in the end, ``()``, and its gradient by the latent vectors, in memory that is used again.

        `orders` are those of the steps, and one more for the judgement.
        """
        self._numbers.copy_(self._optimiser.next_numbers(self._n_steps))
        self._batch_n.copy_(batch_n)
        self._orders.copy_(torch.stack([*orders]))
        self._call(latent_nd.contiguous())
        return self._value, self._by


def learn_classes(learner: Learner, z_nd: Tensor, class_n: Tensor, n_steps: int) -> None:
    """Steps on the gradient of the cross-entropy to the true classes, all of which count equally."""
    check_width(z_nd.shape[1], learner.widths)
    given = z_nd.contiguous(), class_n.int()
    call("learn_classes", n_steps, len(z_nd), *_network(learner), *given, *_optimiser(learner, n_steps))


def standardised(x_nd: Tensor, least: float) -> Tensor:
    """``(x - mean) / sqrt(variance + least)`` of each dimension over the cells."""
    y_nd: Tensor = _Standardised.apply(x_nd, least)  # type: ignore[no-untyped-call]
    return y_nd


class _Standardised(Function):
    @staticmethod
    def forward(ctx: Any, x_nd: Tensor, least: float) -> Tensor:
        inverse_sd, y_nd = x_nd.new_empty(x_nd.shape[1]), x_nd.new_empty(x_nd.shape)
        call("standardise", *x_nd.shape, least, x_nd.contiguous(), inverse_sd, y_nd)
        ctx.save_for_backward(y_nd, inverse_sd)
        return y_nd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y_nd: Tensor) -> tuple[Tensor, None]:
        by_x_nd = by_y_nd.new_empty(by_y_nd.shape)
        call("standardise_backward", *by_x_nd.shape, *ctx.saved_tensors, by_y_nd.contiguous(), by_x_nd)
        return by_x_nd, None


def judge_bound(
    vector: Tensor, widths: tuple[int, ...], z_nd: Tensor, batch_n: Tensor, input_bc: Tensor, order: Tensor
) -> Tensor:
    """``dv_bound`` by a critic as it is, with gradient into `z_nd`; arguments as for `learn_bound`."""
    check_width(z_nd.shape[1] + input_bc.shape[1], widths)
    shape = *z_nd.shape, input_bc.shape[1], len(widths) - 1, sizes(widths)
    return _judged(
        "judge_bound", z_nd, *shape, vector, z_nd.contiguous(), batch_n.int(), input_bc, order.int()
    )


def judge_classes(vector: Tensor, widths: tuple[int, ...], z_nd: Tensor, class_n: Tensor) -> Tensor:
    """Cross-entropy to the true classes, as for `learn_classes`, with gradient into `z_nd`, nats."""
    check_width(z_nd.shape[1], widths)
    shape = len(z_nd), len(widths) - 1, sizes(widths)
    return _judged("judge_classes", z_nd, *shape, vector, z_nd.contiguous(), class_n.int())


def _judged(kernel: str, z_nd: Tensor, *arguments: Any) -> Tensor:
    value, by_z = z_nd.new_empty(()), z_nd.new_empty(z_nd.shape)
    call(kernel, *arguments, value, by_z)
    return known(value, z_nd, by_z)


def _network(learner: Learner) -> tuple[object, ...]:
    return len(learner.widths) - 1, sizes(learner.widths)


def _optimiser(learner: Learner, n_steps: int) -> tuple[Tensor, ...]:
    own = learner.optimiser
    return learner.vector, own.next_numbers(n_steps), own.mean, own.square
