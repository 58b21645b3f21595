"""The heads of the decoder and the log-likelihood of counts under them, with their gradient, in one pass.

Defined by `bie.models.decoder` and `bie.models.likelihoods`.
"""

from typing import Any, NamedTuple, Protocol

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
        """Shape ``(h, g)``."""

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
    heads = [part for head in (rho, pi) if head is not None for part in (head.weight, head.bias)]
    inputs = (tensor.contiguous() for tensor in (h, log_library_n1, theta_1g, *heads))
    gradient = torch.is_grad_enabled()
    value: Tensor = _LogLikelihood.apply(gradient, x_ng, *inputs)  # type: ignore[no-untyped-call]
    return value


class _LogLikelihood(Function):
    """The forward pass makes the derivatives as well, with a weight of 1 for each cell.

    Where all cells weigh the same in the end, as in a mean, these are right up to a factor, which then goes
    into the small matrices. For other weights they are made again.
    """

    @staticmethod
    def forward(ctx: Any, gradient: bool, x_ng: SparseCounts, h: Tensor, *parameters: Tensor) -> Tensor:
        value_n, derivatives = _run(x_ng, torch.ones(len(x_ng)), gradient, h, *parameters)
        ctx.x_ng, ctx.derivatives = x_ng, derivatives
        ctx.save_for_backward(h, *parameters)
        return value_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight_n: Tensor) -> tuple[Tensor | None, ...]:
        h, *parameters = ctx.saved_tensors
        by, factor = ctx.derivatives, weight_n[0]
        if not torch.equal(weight_n, factor.expand_as(weight_n)):
            _, by = _run(ctx.x_ng, weight_n.contiguous(), True, h, *parameters)
            factor = torch.ones(())
        scaled_h, by_h, by_heads = h * factor, torch.zeros_like(h), []
        for weight, by_logits, by_bias in zip(parameters[2::2], by.logits, by.biases, strict=True):
            by_h.addmm_(by_logits, weight.mT)
            by_heads += [_product(scaled_h.mT, by_logits), by_bias * factor]
        by_others = by_h * factor, by.log_library_n1 * factor, by.theta_1g * factor
        return None, None, *by_others, *by_heads


class _Derivatives(NamedTuple):
    """Of the weighted sum over the cells; those by the outputs and the biases for each head."""

    log_library_n1: Tensor
    theta_1g: Tensor
    logits: list[Tensor]
    biases: list[Tensor]


def _run(
    x_ng: SparseCounts,
    weight_n: Tensor,
    gradient: bool,
    h: Tensor,
    log_library_n1: Tensor,
    theta_1g: Tensor,
    *heads: Tensor,
) -> tuple[Tensor, _Derivatives]:
    """Log-likelihood of each cell; its derivatives, without meaning unless `gradient` is asked for."""
    weights, biases = heads[::2], heads[1::2]
    value_n, by_log_library_n1 = torch.empty(len(x_ng)), torch.empty_like(log_library_n1)
    by_theta_1g, *by_biases = (torch.zeros_like(t) for t in (theta_1g, *biases))
    logits = [_product(h, weight) for weight in weights]  # derivatives replace them
    absent = [None] * (2 - len(weights))
    inputs = (log_library_n1, weight_n, theta_1g, *logits, *absent, *biases, *absent)
    outputs = (value_n, by_log_library_n1, by_theta_1g, *by_biases, *absent)
    call("log_likelihood", *x_ng.shape, gradient, *x_ng.csr(), *inputs, *outputs)
    return value_n, _Derivatives(by_log_library_n1, by_theta_1g, logits, by_biases)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right``, for a wide, contiguous `right`; see matmul.c."""
    product = torch.empty(left.shape[0], right.shape[1])
    call("matmul", *product.shape, left.shape[1], *left.stride(), left, right, product)
    return product
