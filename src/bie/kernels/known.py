"""Numbers whose gradient a kernel has made along with them."""

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def known(value: Tensor, x: Tensor, by_x: Tensor, factor: float | Tensor) -> Tensor:
    """`factor` times the number ``()`` as a function of `x`; `by_x` is its gradient, before the factor."""
    number: Tensor = _Known.apply(factor * value, x, factor * by_x)  # type: ignore[no-untyped-call]
    return number


def summand(value: Tensor, x: Tensor, by_x: Tensor, factor: float | Tensor) -> Tensor:
    """The same for what a loss is the sum of, to which nothing but the other summands may be added.

    Where somebody collects the gradient of that loss by x in ``x.grad``, it is added there at once, and
    autograd, which would take longer to be called than the kernel, has nothing to do.
    """
    if not x.is_leaf or x.grad is None:
        return known(value, x, by_x, factor)
    x.grad.add_(by_x, alpha=float(factor))
    return factor * value


class _Known(Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, x: Tensor, by_x: Tensor) -> Tensor:
        ctx.by_x = by_x
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        return None, ctx.by_x * by_value, None
