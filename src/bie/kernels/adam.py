"""Adam, all parameters in one call; defined by `torch.optim.Adam`.

The kernels that make the gradients of large weights take these through their step as well, while they are in
the processor's caches, by the moments and the coefficients of this optimiser.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from bie.kernels.native import Bound, bind, call, sizes

CACHE_LINE = 16
"""Single-precision numbers of a cache line, 64 bytes."""


class Part(NamedTuple):
    """A parameter, or rows of it, with the moments of its gradient, all of one shape and memory layout."""

    parameter: Tensor
    mean: Tensor
    square: Tensor

    def rows(self, begin: int, end: int | None) -> "Part":
        """The rows from `begin` to before `end`, None: to the last; views."""
        return Part(*(tensor[begin:end] for tensor in self))


class Rule(ctypes.Structure):
    """Hyperparameters of Adam and the number of steps taken, as kernels read them (`AdamRule` of adam.h)."""

    _fields_: ClassVar = [
        *((name, ctypes.c_double) for name in ("lr", "eps", "beta1", "beta2", "decay")),
        ("n_steps", ctypes.c_int64),
    ]


class CompiledAdam:
    """As `torch.optim.Adam`, which for a small critic takes longer to collect its tensors than to step.

    Parameters
    ----------
    parameters, lr, eps, weight_decay
        As for `bie.training.optimiser.adam`; every parameter has a gradient at each step.

    Attributes
    ----------
    rule
        For kernels that count steps themselves.
    coefficients
        Of the current step, ``(5,)``: step size and eps, both corrected for the bias of the moments, beta1,
        beta2, weight decay. In memory that stays where it is, for kernels to read.
    """

    def __init__(self, parameters: list[Tensor], lr: float, eps: float, weight_decay: float) -> None:
        self.parameters = parameters
        size = sum(_rounded_up(parameter.numel()) for parameter in parameters)
        self.mean, self.square = torch.zeros(2, size)
        self.rule, self.coefficients = Rule(lr, eps, 0.9, 0.999, weight_decay, 0), torch.empty(5)
        self._begin = bind("adam_begin", self.rule, self.coefficients)
        moments = self._split(self.mean), self._split(self.square)
        parts = [Part(p.detach(), *each) for p, *each in zip(parameters, *moments, strict=True)]
        self._part_of = {id(p): part for p, part in zip(parameters, parts, strict=True)}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Change the parameters by their gradients."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        self.begin_step()
        call("adam", *self._arguments(list(self._part_of.values()), gradients))

    def begin_step(self) -> None:
        """Count a step, for kernels that take it by `coefficients`."""
        self._begin()

    def part(self, parameter: Tensor) -> Part:
        """Views of one of the parameters and its moments."""
        return self._part_of[id(parameter)]

    def bound(self, parts: Sequence[Part], gradients: Sequence[Tensor]) -> Bound:
        """The step that was counted, of some parts alone; bound to gradients that stay where they are."""
        return bind("adam", *self._arguments(parts, gradients))

    def _arguments(self, parts: Sequence[Part], gradients: Sequence[Tensor]) -> tuple[Any, ...]:
        gradients = [
            _in_layout_of(part.parameter, gradient) for gradient, part in zip(gradients, parts, strict=True)
        ]
        parameters, means, squares = map(list, zip(*parts, strict=True))
        return (
            len(gradients),
            sizes([g.numel() for g in gradients]),
            parameters,
            gradients,
            means,
            squares,
            self.coefficients,
        )

    def state_dict(self) -> dict[str, Any]:
        """Moments, in the order of the parameters' entries whatever their memory layout; number of steps."""
        mean, square = (
            torch.cat([part.flatten() for part in self._split(whole)]) for whole in (self.mean, self.square)
        )
        return {"mean": mean, "square": square, "n_steps": self.rule.n_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        lengths = [parameter.numel() for parameter in self.parameters]
        for whole, stored in ((self.mean, state_dict["mean"]), (self.square, state_dict["square"])):
            for part, entries in zip(self._split(whole), torch.split(stored, lengths), strict=True):
                part.copy_(entries.view(part.shape))
        self.rule.n_steps = state_dict["n_steps"]

    def _split(self, whole: Tensor) -> list[Tensor]:
        """What belongs to each parameter, seen as that parameter is."""
        parts, begin = list[Tensor](), whole.storage_offset()
        for parameter in self.parameters:
            parts.append(whole.as_strided(parameter.shape, parameter.stride(), begin))
            begin += _rounded_up(parameter.numel())
        return parts


def _rounded_up(n: int) -> int:
    """To whole cache lines: a vector that lies in two takes twice as long to be read."""
    return -(-n // CACHE_LINE) * CACHE_LINE


def _in_layout_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the memory layout of its parameter, copied only if it has another."""
    return (
        gradient
        if gradient.stride() == parameter.stride()
        else gradient.new_empty_strided(parameter.shape, parameter.stride()).copy_(gradient)
    )
