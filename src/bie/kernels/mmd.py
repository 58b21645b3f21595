"""The squared MMD between batches with its gradient, in one pass; defined by `bie.penalties.mmd`."""

from typing import Literal

import torch
from torch import Tensor

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
) -> tuple[Tensor, Tensor]:
    """Sum of the V-statistics of the pairs of batches, and its gradient; arguments as in `bie.config.Mmd`."""
    numbers = n_batches, pairs == "consecutive", BANDWIDTHS[bandwidth], torch.finfo(z_nd.dtype).eps
    value, by_z = z_nd.new_empty(()), z_nd.new_empty(z_nd.shape)
    call("mmd", *z_nd.shape, *numbers, z_nd.contiguous(), batch_n.int(), value, by_z)
    return value, by_z
