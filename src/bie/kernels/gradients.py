"""Numbers whose gradient a kernel has made along with them."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def with_gradient(value: Tensor, x: Tensor, by_x: Tensor, factor: float | Tensor) -> Tensor:
    """`factor` times the number ``()`` as a function of `x`; `by_x` is its gradient, before the factor."""
    number: Tensor = _WithGradient.apply(factor * value, x, factor * by_x)  # type: ignore[no-untyped-call]
    return number


def add_gradient(value: Tensor, x: Tensor, by_x: Tensor, factor: float | Tensor) -> Tensor:
    """As `with_gradient`, for a term that enters the loss with coefficient 1.

    Where nobody asks for gradients there is none. If `x` is a leaf whose ``x.grad`` is allocated, the
    gradient is added there at once and the value carries no graph: autograd would take longer to be called
    than the kernel.
    """
    if not torch.is_grad_enabled():
        return factor * value
    if not x.is_leaf or x.grad is None:
        return with_gradient(value, x, by_x, factor)
    x.grad.add_(by_x, alpha=float(factor))
    return factor * value


class _WithGradient(Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, by_x: Tensor) -> Tensor:
        ctx.by_x = by_x
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        return None, ctx.by_x * by_value, None
