"""The Donsker-Varadhan bound with its gradient; defined by `bie.mutual_information.estimators`."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.native import call


class Average(NamedTuple):
    """State of a `bie.mutual_information.estimators.LogMovingAverage`, numbers in single precision."""

    log_rate: Tensor
    log_decay: Tensor
    n_updates: Tensor
    log_sum: Tensor


def bound(score_2n: Tensor) -> Tensor:
    """``dv_bound`` of scores of n pairs that belong together, then of n independent ones."""
    value: Tensor = _Bound.apply(score_2n)  # type: ignore[no-untyped-call]
    return value


class _Bound(Function):
    @staticmethod
    def forward(ctx: Any, score_2n: Tensor) -> Tensor:
        value, ctx.gradient = score_2n.new_empty(()), torch.empty_like(score_2n)
        no_average = [None] * 4
        call("donsker_varadhan", len(score_2n) // 2, score_2n.contiguous(), *no_average, value, ctx.gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> Tensor:
        by_score_2n: Tensor = ctx.gradient * -by_value
        return by_score_2n
