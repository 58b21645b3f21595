"""Layers of the encoders and the decoder, forward and backward in a few calls each.

Defined by `bie.models.layers` and `bie.models.gaussian`, where the operations of torch are so small that they
take longer to be called than to be done.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.counts import Counts, SparseCounts
from bie.kernels.native import call, fits, is_active


class Affine(NamedTuple):
    """Weight ``(inputs, outputs)`` and bias ``(1, outputs)``; of a norm both ``(1, units)``."""

    weight: Tensor
    bias: Tensor


class Norm(NamedTuple):
    """Batch norm: whether by the moments of the minibatch, which move the running ones ``(1, units)``."""

    training: bool
    mean: Tensor
    variance: Tensor
    momentum: float
    eps: float


def takes(x: Counts, weight: Tensor) -> bool:
    """Whether the kernels are there and made for these inputs of a layer."""
    matrix = isinstance(x, SparseCounts) or (x.ndim == 2 and fits(x))
    return is_active() and matrix and weight.ndim == 2 and fits(weight)


def hidden(
    x: Counts,
    covariates: Tensor | None,
    linear: Affine,
    scale: Affine,
    norm: Norm,
    keep_nh: Tensor | None,
    factor: float,
) -> Tensor:
    """Linear layer, batch norm, ReLU, dropout.

    Parameters
    ----------
    x, covariates
        Inputs of the layer, ``(n, ...)``; covariates, which get no gradient, are the last of them.
    linear, scale, norm
        Linear layer; weight and bias of the batch norm, and its moments.
    keep_nh, factor
        Ones and zeros for the units, or None for no dropout; by what those that are kept are multiplied.

    Returns
    -------
    Tensor
        Hidden units, ``(n, units)``.
    """
    dense, counts = (None, x) if isinstance(x, SparseCounts) else (x.contiguous(), None)
    tensors = (dense, *linear, *scale)
    h: Tensor = _Hidden.apply(counts, covariates, norm, keep_nh, factor, *tensors)  # type: ignore[no-untyped-call]
    return h


class _Hidden(Function):
    @staticmethod
    def forward(
        ctx: Any,
        counts: SparseCounts | None,
        covariates: Tensor | None,
        norm: Norm,
        keep_nh: Tensor | None,
        factor: float,
        x: Tensor | None,
        weight: Tensor,
        *units: Tensor,
    ) -> Tensor:
        parts = _parts(counts, x, covariates, weight)
        normal = weight.new_empty(len(parts[0][0]), weight.shape[1])
        for number, (part, rows) in enumerate(parts):
            _multiply(part, rows, normal, add=number > 0)
        bias, scale, shift = units
        inverse_sd, h = torch.empty_like(bias), torch.empty_like(normal)
        numbers = norm.training, norm.momentum, norm.eps
        tensors = normal, bias, scale, shift, norm.mean, norm.variance, keep_nh
        call("hidden_forward", *normal.shape, *numbers, *tensors, factor, inverse_sd, h)
        ctx.counts, ctx.covariates, ctx.training, ctx.factor = counts, covariates, norm.training, factor
        ctx.save_for_backward(x, weight, scale, normal, inverse_sd, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_h: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, normal, inverse_sd, h = ctx.saved_tensors
        by_normal = by_h.clone(memory_format=torch.contiguous_format)
        by_units = [torch.empty_like(scale) for _ in range(3)]
        saved = normal, scale, inverse_sd, h
        call("hidden_backward", *h.shape, ctx.training, *saved, ctx.factor, by_normal, *by_units)
        by_weight, first = torch.empty_like(weight), 0
        for part, rows in _parts(ctx.counts, x, ctx.covariates, weight):
            _multiply_transposed(part, by_normal, by_weight[first : first + len(rows)])
            first += len(rows)
        by_x = None
        if x is not None and ctx.needs_input_grad[5]:
            by_x = torch.empty_like(x)
            shape = *x.shape, h.shape[1]
            call(
                "matmul", *shape, by_normal, *by_normal.stride(), weight, *weight.stride()[::-1], False, by_x
            )
        return None, None, None, None, None, by_x, by_weight, *by_units


def _parts(
    counts: SparseCounts | None, x: Tensor | None, covariates: Tensor | None, weight: Tensor
) -> list[tuple[Counts, Tensor]]:
    """The inputs of a layer, each with its rows of the weight."""
    first = x if counts is None else counts
    assert first is not None
    if covariates is None:
        return [(first, weight)]
    return [(first, weight[: first.shape[1]]), (covariates, weight[first.shape[1] :])]


def _multiply(x: Counts, weight: Tensor, product: Tensor, add: bool) -> None:
    """``x @ weight``, or to be added to what is there for a dense `x`."""
    if isinstance(x, SparseCounts):
        call("multiply", *product.shape, *x.csr(), weight, product)
    else:
        shape = *product.shape, x.shape[1]
        call("matmul", *shape, x, *x.stride(), weight, *weight.stride(), add, product)


def _multiply_transposed(x: Counts, by_product: Tensor, by_weight: Tensor) -> None:
    """``x.T @ by_product``."""
    if isinstance(x, SparseCounts):
        call("multiply_transposed", *by_weight.shape, *x.csc(), by_product, by_weight)
    else:
        shape = *by_weight.shape, len(x)
        strides = x.stride()[::-1]
        call("matmul", *shape, x, *strides, by_product, *by_product.stride(), False, by_weight)


def draw(
    h: Tensor,
    mean: Affine,
    log_variance: Affine,
    floor: float,
    noise_nd: Tensor,
    prior: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample and mean of a normal distribution of each cell, ``(n, d)``, and its divergence from the prior.

    Parameters
    ----------
    h
        Last hidden layer.
    mean, log_variance
        Linear layers; `floor` is added to the variances.
    noise_nd
        Standard normal numbers.
    prior
        Mean and variance, broadcast to the sample, without gradient.
    """
    layers = (tensor.contiguous() for tensor in (h, *mean, *log_variance))
    prior_nd = (moment.expand_as(noise_nd).contiguous() for moment in prior)
    z_nd, mean_nd, kl_n = _Draw.apply(floor, noise_nd, *prior_nd, *layers)  # type: ignore[no-untyped-call]
    return z_nd, mean_nd, kl_n


class _Draw(Function):
    @staticmethod
    def forward(
        ctx: Any, floor: float, noise_nd: Tensor, mean: Tensor, variance: Tensor, h: Tensor, *layers: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        *posterior, kl_n = *(torch.empty_like(noise_nd) for _ in range(3)), torch.empty(len(h))
        ctx.shape, ctx.floor = (*h.shape, noise_nd.shape[1]), floor
        call("normal_forward", *ctx.shape, floor, h, *layers, noise_nd, mean, variance, *posterior, kl_n)
        ctx.save_for_backward(h, *layers, noise_nd, mean, variance, *posterior[:2])
        return posterior[2], posterior[0], kl_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Tensor | None, ...]:
        h, *layers = ctx.saved_tensors[:5]
        by = [torch.empty_like(tensor) for tensor in (h, *layers)]
        saved = h, *layers[::2], *ctx.saved_tensors[5:], *(by_output.contiguous() for by_output in by_outputs)
        call("normal_backward", *ctx.shape, ctx.floor, *saved, *by)
        return None, None, None, None, *by
