"""Small multilayer perceptrons, forward and backward in one call each; defined by `plain`.

A critic is so small that the dozens of operations of torch in a step cost more than the arithmetic in them.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import elu

from bie.kernels.native import call, is_active, is_float32_cpu, sizes


def mlp(x: Tensor, parameters: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Linear layers with an exponential linear unit between them (ELU; Clevert et al. 2016).

    Parameters
    ----------
    x
        Inputs, ``(..., n, widths[0])``.
    parameters
        Of all layers, ``(..., p)``; see `layers`.
    widths
        Inputs of each layer and outputs of the last.

    Returns
    -------
    Tensor
        Outputs of the last layer, ``(..., n, widths[-1])``; compiled for one network and a matrix of inputs
        in single precision on the CPU.
    """
    if takes(x, parameters):
        output: Tensor = _Mlp.apply(x, parameters, widths)  # type: ignore[no-untyped-call, unused-ignore]
        return output
    return plain(x, parameters, widths)


def takes(x: Tensor, parameters: Tensor) -> bool:
    """Whether there are kernels for these inputs and this network."""
    return (
        is_active()
        and x.ndim == 2
        and parameters.ndim == 1
        and is_float32_cpu(x)
        and is_float32_cpu(parameters)
    )


def plain(x: Tensor, parameters: Tensor, widths: tuple[int, ...]) -> Tensor:
    """As `mlp`, by the operations of torch."""
    *hidden, (weight, bias) = layers(parameters, widths)
    for hidden_weight, hidden_bias in hidden:
        x = elu(x @ hidden_weight + hidden_bias)
    return x @ weight + bias


def layers(parameters: Tensor, widths: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """Views of the weight ``(..., inputs, outputs)`` and the bias ``(..., 1, outputs)`` of each layer.

    They lie one after the other: weight row by row, bias, weight of the next layer.
    """
    views, shapes = [], [(n_in + 1, n_out) for n_in, n_out in pairwise(widths)]
    parts = torch.split(parameters, [rows * columns for rows, columns in shapes], -1)
    for part, shape in zip(parts, shapes, strict=True):
        both = part.view(*part.shape[:-1], *shape)
        views.append((both[..., :-1, :], both[..., -1:, :]))
    return views


def check_width(n_columns: int, widths: tuple[int, ...]) -> None:
    """Raise `ValueError` if inputs have another number of columns than a network takes.

    A kernel would read beyond them.
    """
    if n_columns != widths[0]:
        raise ValueError(f"{n_columns} columns for a network of {widths[0]} inputs")


class _Mlp(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, widths: tuple[int, ...]) -> Tensor:
        x, parameters, n = x.contiguous(), parameters.contiguous(), len(x)
        check_width(x.shape[1], widths)
        output, hidden = x.new_empty(n, widths[-1]), x.new_empty(n * sum(widths[1:-1]))
        ctx.shape = n, len(widths) - 1, sizes(widths)
        call("mlp_forward", *ctx.shape, parameters, x, hidden, output)
        ctx.save_for_backward(x, parameters, hidden)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, parameters, hidden = ctx.saved_tensors
        wanted = zip((x, parameters), ctx.needs_input_grad, strict=False)
        grads = [torch.empty_like(tensor) if needed else None for tensor, needed in wanted]
        call("mlp_backward", *ctx.shape, parameters, x, hidden, grad_output.contiguous(), *grads)
        return *grads, None
