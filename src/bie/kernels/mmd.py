"""The squared MMD between batches with its gradient, in one pass; defined by `bie.penalties.mmd`."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.native import call, fits, is_active

BANDWIDTHS = {"unit": 0, "median": 1, "multi": 2}


def takes(z_nd: Tensor) -> bool:
    """Whether the kernel is there and made for these latent vectors."""
    return is_active() and z_nd.ndim == 2 and fits(z_nd)


def v_statistic(
    z_nd: Tensor,
    batch_n: Tensor,
    n_batches: int,
    pairs: Literal["consecutive", "all"],
    bandwidth: Literal["unit", "median", "multi"],
) -> Tensor:
    """Sum of the V-statistics of the pairs of batches; arguments as in `bie.config.Mmd`."""
    numbers = n_batches, pairs == "consecutive", BANDWIDTHS[bandwidth]
    value: Tensor = _VStatistic.apply(z_nd, batch_n, numbers)  # type: ignore[no-untyped-call]
    return value


class _VStatistic(Function):
    @staticmethod
    def forward(ctx: Any, z_nd: Tensor, batch_n: Tensor, numbers: tuple[int, bool, int]) -> Tensor:
        z_nd, value = z_nd.contiguous(), z_nd.new_empty(())
        ctx.by_z, least = torch.empty_like(z_nd), torch.finfo(z_nd.dtype).eps
        call("mmd", *z_nd.shape, *numbers, least, z_nd, batch_n.int(), value, ctx.by_z)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.by_z * by_value, None, None
