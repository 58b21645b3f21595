"""The squared MMD between batches with its gradient, in one pass; defined by `bie.penalties.mmd`."""

from ctypes import c_float
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from bie.kernels.native import call


def v_statistic(
    z_nd: Tensor,
    batch_n: Tensor,
    n_batches: int,
    pairs: Literal["consecutive", "all"],
    widths: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Sum of the V-statistics of the pairs of batches, and its gradient.

    Parameters
    ----------
    z_nd, batch_n, n_batches
        Latent vectors, batch codes, and how many codes there are.
    pairs
        As in the section ``mmd``.
    widths
        Bandwidths of the kernels in median distances; none: one kernel of bandwidth 1.
    """
    how = pairs == "consecutive", len(widths), _array(widths), torch.finfo(z_nd.dtype).eps
    value, grad_z = z_nd.new_empty(()), z_nd.new_empty(z_nd.shape)
    call("mmd", *z_nd.shape, n_batches, *how, z_nd.contiguous(), batch_n.int(), value, grad_z)
    return value, grad_z


@cache
def _array(numbers: tuple[float, ...]) -> Any:
    return (c_float * len(numbers))(*numbers)
