"""The heads of the decoder and the log-likelihood of counts under them, with their gradient, in one pass.

Defined by `bie.models.decoder` and `bie.models.likelihoods`.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.counts import SparseCounts
from bie.kernels.native import call


class Head(Protocol):
    """A linear layer."""

    @property
    def weight(self) -> Tensor:
        """Shape ``(h, g)``; best gene by gene in memory, since that is how the kernel reads it."""

    @property
    def bias(self) -> Tensor:
        """Shape ``(1, g)``."""


def log_likelihood(
    x_ng: SparseCounts, h: Tensor, log_library_n1: Tensor, theta_1g: Tensor, rho: Head, pi: Head | None
) -> Tensor:
    """Log-likelihood of each cell, with means ``exp(log_library) softmax(rho(h))``.

    Parameters
    ----------
    x_ng
        Counts.
    h
        Last hidden layer, ``(n, h)``; float32, as all others.
    log_library_n1, theta_1g
        Log library size of each cell, inverse dispersion of each gene.
    rho, pi
        Layers that give the logits of the proportions and of technical zeros. Without the latter the
        distribution is negative binomial.

    Returns
    -------
    Tensor
        ``(n,)``, nats, with gradient into everything but the counts.
    """
    heads = [part for head in (rho, pi) if head is not None for part in (head.weight.mT, head.bias)]
    inputs = (tensor.contiguous() for tensor in (h, log_library_n1, theta_1g, *heads))
    gradient = torch.is_grad_enabled()
    value: Tensor = _LogLikelihood.apply(gradient, x_ng, *inputs)  # type: ignore[no-untyped-call]
    return value


class _LogLikelihood(Function):
    """The forward pass makes the derivatives as well: those of minus the mean over the cells.

    That is what training minimises. For other weights of the cells they are made again.
    """

    @staticmethod
    def forward(ctx: Any, gradient: bool, x_ng: SparseCounts, *inputs: Tensor) -> Tensor:
        ctx.x_ng, ctx.weight_n = x_ng, -torch.ones(len(x_ng)) / len(x_ng)
        value_n, ctx.by = _run(x_ng, ctx.weight_n, gradient, *inputs)
        ctx.save_for_backward(*inputs)
        return value_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight_n: Tensor) -> tuple[Tensor | None, ...]:
        if not torch.equal(weight_n, ctx.weight_n):
            ctx.weight_n = weight_n.clone(memory_format=torch.contiguous_format)
            _, ctx.by = _run(ctx.x_ng, ctx.weight_n, True, *ctx.saved_tensors)
        return None, None, *ctx.by


def _run(
    x_ng: SparseCounts, weight_n: Tensor, gradient: bool, *inputs: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Log-likelihood of each cell; derivatives of the weighted sum by all inputs, if they are asked for."""
    h, log_library_n1, theta_1g, *heads = inputs
    value_n = h.new_empty(len(h))
    absent: list[Tensor | None] = [None] * (4 - len(heads))
    by = [torch.empty_like(tensor) for tensor in inputs] if gradient else []
    given = *x_ng.csc(), log_library_n1, weight_n, theta_1g, h, *heads, *absent
    outputs: list[Tensor | None] = [*by] if gradient else [None] * len(inputs)
    call("log_likelihood", *x_ng.shape, gradient, h.shape[1], *given, value_n, *outputs, *absent)
    return value_n, by
