"""Proportions of the genes and the log-likelihood of counts under them as one operation on a GPU, by Triton.

Defined by `bie.models.decoder` and `bie.models.likelihoods`: ZINB or NB, one dispersion a gene. Torch walks
dozens of times over a matrix of cells x genes; this reads counts and logits three times forward and once
backward, and writes their gradients once. Builds of torch for CUDA bring Triton. Tests run it on a CPU by
Triton's interpreter (``TRITON_INTERPRET=1`` in the environment).
"""

import functools
import os
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bie.kernels.native import are_wanted

FORWARD = {"CELLS": 4, "GENES": 256}
"""Cells that one program takes, and their genes at a time."""

BACKWARD = {"CELLS": 16, "GENES": 64}
"""Cells and genes of the tile of one program."""


def is_active(device: str) -> bool:
    """Whether the kernel is there and wanted on such a device."""
    runs_there = device == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    return runs_there and are_wanted() and _has_triton()


@functools.cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def status(device: str) -> str:
    """What makes likelihoods on such a device, where counts fit the kernel."""
    return f"Triton {version('triton')}" if is_active(device) else "torch"


def takes(x_ng: Tensor, log_theta_1g: Tensor) -> bool:
    """Whether the kernel takes such counts and dispersions: one a gene, in single precision."""
    if not is_active(x_ng.device.type):
        return False
    fits = x_ng.dtype == log_theta_1g.dtype == torch.float32
    return fits and log_theta_1g.shape == (*x_ng.shape[:-2], 1, x_ng.shape[-1])


def log_likelihood(
    x_ng: Tensor,
    logit_ng: Tensor,
    log_library_n1: Tensor,
    log_theta_1g: Tensor,
    zero_logit_ng: Tensor | None = None,
) -> Tensor:
    """Log-likelihood of each cell, with means ``exp(log_library) softmax(logit)``.

    Runs do not feel each other: no number of one enters another's.

    Parameters
    ----------
    x_ng
        Counts, ``(..., n, g)``.
    logit_ng
        Logits of the proportions, ``(..., n, g)``.
    log_library_n1
        Log library sizes, ``(..., n, 1)``.
    log_theta_1g
        Log inverse dispersion of each gene, ``(..., 1, g)``.
    zero_logit_ng
        Logits of technical zeros, ``(..., n, g)``; None for a negative binomial distribution.

    Returns
    -------
    Tensor
        ``(..., n)``, nats; with gradient w.r.t. all but the counts.
    """
    pi = () if zero_logit_ng is None else (zero_logit_ng,)
    given = x_ng, logit_ng, log_library_n1, log_theta_1g, *pi
    value: Tensor = _LogLikelihood.apply(*given)  # type: ignore[no-untyped-call, unused-ignore]
    return value


class _LogLikelihood(Function):
    """The two Triton programs as one operation of autograd.

    Beside the inputs three numbers of each cell are kept for the backward pass: largest logit and sum of the
    softmax, and the derivative w.r.t. the log library size. Proportions and means, cells x genes, are not
    kept but computed again.
    """

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        from bie.kernels import triton_likelihood

        inputs = [tensor.contiguous() for tensor in given]
        x, *_ = inputs
        *outer, n, g = x.shape
        value: Tensor
        value, slope, top, total = torch.empty(4, *outer, n, device=x.device)
        runs = x.numel() // (n * g)
        grid = runs, _blocks(n, FORWARD["CELLS"])
        pointers = *_with_pi(inputs), value, slope, top, total  # in the order of the program's parameters
        triton_likelihood.forward[grid](*pointers, n, g, len(given) == 5, **FORWARD)
        ctx.save_for_backward(*inputs, slope, top, total)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor | None, ...]:
        from bie.kernels import triton_likelihood

        *inputs, slope, top, total = ctx.saved_tensors
        x, logit, _, _, *pi = inputs
        *outer, n, g = x.shape
        blocks = _blocks(n, BACKWARD["CELLS"])
        grad_value = grad_value.contiguous()  # autograd may hand in a broadcast number
        grad_logits = [torch.empty_like(each) for each in (logit, *pi)]
        grad_theta = torch.empty(*outer, blocks, g, device=x.device)
        grid = x.numel() // (n * g), blocks, _blocks(g, BACKWARD["GENES"])
        places = grad_logits[0], grad_logits[-1], grad_theta
        pointers = *_with_pi(inputs), slope, top, total, grad_value, *places
        triton_likelihood.backward[grid](*pointers, n, g, bool(pi), **BACKWARD)
        grad_library = (grad_value * slope).unsqueeze(-1)
        grad_theta_1g = grad_theta.sum(-2, keepdim=True)  # over the blocks of cells
        return None, grad_logits[0], grad_library, grad_theta_1g, *grad_logits[1:]


def _with_pi(inputs: list[Tensor]) -> list[Tensor]:
    """The inputs, with some tensor in place of the logits of technical zeros where there are none."""
    return inputs if len(inputs) == 5 else [*inputs, inputs[0]]


def _blocks(n: int, size: int) -> int:
    return -(-n // size)
