"""The Donsker-Varadhan bound with its gradient, and that of the critic's objective, in one pass.

Defined by `bie.mutual_information.estimators`; derivatives there are torch's.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels import mlp
from bie.kernels.native import call, fits, is_active


class Average(NamedTuple):
    """State of a `bie.mutual_information.estimators.LogMovingAverage`, numbers in single precision."""

    log_rate: Tensor
    log_decay: Tensor
    n_updates: Tensor
    log_sum: Tensor


def takes(score_2n: Tensor) -> bool:
    """Whether the kernel is there and made for these scores."""
    return is_active() and score_2n.ndim == 1 and fits(score_2n)


def bound(score_2n: Tensor) -> Tensor:
    """``dv_bound`` of scores of n pairs that belong together, then of n independent ones."""
    value: Tensor = _Bound.apply(score_2n)  # type: ignore[no-untyped-call]
    return value


def critic_gradient(x: Tensor, parameters: Tensor, widths: tuple[int, ...], average: Average) -> Tensor:
    """Gradient of ``critic_objective`` by the parameters of a network, after an update of the average.

    Parameters
    ----------
    x
        Inputs of the network for n pairs that belong together, then for n independent ones, contiguous.
    parameters, widths
        Of the network, as for `bie.kernels.mlp.mlp`.
    average
        Updated by the scores.
    """
    score_2n1, hidden, shape = mlp.forward_pass(x, parameters, widths)
    _, gradient = _run(score_2n1, list(average))
    _, by_parameters = mlp.backward_pass(x, parameters, hidden, shape, gradient, (False, True))
    assert by_parameters is not None
    return by_parameters


class _Bound(Function):
    @staticmethod
    def forward(ctx: Any, score_2n: Tensor) -> Tensor:
        value, ctx.gradient = _run(score_2n, [None] * 4)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> Tensor:
        by_score_2n: Tensor = ctx.gradient * -by_value
        return by_score_2n


def _run(score_2n: Tensor, average: list[Tensor | None]) -> tuple[Tensor, Tensor]:
    """Bound, and gradient of the objective, which without an average is that of minus the bound."""
    value, gradient = score_2n.new_empty(()), torch.empty_like(score_2n)
    call("donsker_varadhan", len(score_2n) // 2, score_2n.contiguous(), *average, value, gradient)
    return value, gradient
