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

PANEL, ROWS = 48, 8
"""Genes of a panel, and what the number of cells in it is a multiple of; see likelihood.c."""


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
    """The forward pass makes derivatives as well, with a weight of 1 for each cell.

    Where all cells weigh the same in the end, as in a mean, these are right up to a factor. For other weights
    they are made again.
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
        by, factor = ctx.derivatives, weight_n[0].item()
        if not (weight_n == factor).all():
            _, by = _run(ctx.x_ng, weight_n.contiguous(), True, h, *parameters)
            factor = 1.0
        shape, by_h = (len(h), ctx.x_ng.shape[1], h.shape[1]), torch.zeros_like(h)
        by_heads: list[Tensor] = []
        for weight, bias, by_output in zip(parameters[2::2], parameters[3::2], by.outputs, strict=True):
            of_head = torch.empty_like(weight), torch.empty_like(bias)
            call("head_backward", *shape, factor, h, weight, *by_output, by_h, *of_head)
            by_heads += of_head
        return None, None, by_h, by.log_library_n1 * factor, by.theta_1g * factor, *by_heads


class _Derivatives(NamedTuple):
    """Of the weighted sum over the cells; those by the outputs of each head as `head_backward` takes them."""

    log_library_n1: Tensor
    theta_1g: Tensor
    outputs: list[tuple[Tensor | None, ...]]


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
    (n, g), (n_panels, n_rows) = x_ng.shape, (-(-x_ng.shape[1] // PANEL), -(-len(x_ng) // ROWS) * ROWS)
    value_n, by_log_library_n1, by_theta_1g = (
        torch.empty(n),
        torch.empty_like(log_library_n1),
        torch.empty_like(theta_1g),
    )
    exponential, by_log_mu, by_pi = (torch.empty(n_panels, n_rows, PANEL) for _ in range(3))
    share = torch.empty(n_panels, n)
    absent = [None] * (4 - len(heads))
    inputs = (*x_ng.csr(), log_library_n1, weight_n, theta_1g, h, *heads, *absent)
    outputs = (value_n, by_log_library_n1, by_theta_1g, exponential, by_log_mu, by_pi, share)
    call("log_likelihood", n, g, gradient, h.shape[1], *inputs, *outputs)
    by_outputs: list[tuple[Tensor | None, ...]] = [(by_log_mu, exponential, share), (by_pi, None, None)]
    return value_n, _Derivatives(by_log_library_n1, by_theta_1g, by_outputs[: len(heads) // 2])
