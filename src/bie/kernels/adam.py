"""Adam, all parameters in one call; defined by `torch.optim.Adam`."""

import math
from typing import Any

import torch
from torch import Tensor

from bie.kernels.native import call, sizes


class CompiledAdam:
    """As `torch.optim.Adam`, which for a small critic takes longer to collect its tensors than to step.

    Parameters
    ----------
    parameters, lr, eps, weight_decay
        As for `bie.training.optimiser.adam`; every parameter has a gradient at each step.
    """

    beta1, beta2 = 0.9, 0.999

    def __init__(self, parameters: list[Tensor], lr: float, eps: float, weight_decay: float) -> None:
        self.parameters, self.sizes = parameters, sizes([parameter.numel() for parameter in parameters])
        self.mean, self.square = torch.zeros(2, sum(self.sizes))
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay
        self.n_steps = 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Change the parameters by their gradients."""
        gradients = [_alike(p.grad, p) for p in self.parameters if p.grad is not None]
        assert len(gradients) == len(self.parameters)
        (rate,), (correction,) = self.rates(1)
        numbers = rate, correction, self.beta1, self.beta2, self.eps, self.weight_decay
        tensors = self.parameters, gradients, self.mean, self.square
        call("adam", len(gradients), self.sizes, *tensors, *numbers)

    def rates(self, n_steps: int) -> tuple[list[float], list[float]]:
        """Step sizes and corrections of the second moment of the next steps, which count as taken."""
        steps = range(self.n_steps + 1, self.n_steps + n_steps + 1)
        self.n_steps += n_steps
        step_sizes = [self.lr / (1 - self.beta1**step) for step in steps]
        return step_sizes, [math.sqrt(1 - self.beta2**step) for step in steps]

    def state_dict(self) -> dict[str, Any]:
        """Moments, in the order of the parameters' entries whatever their memory layout; number of steps."""
        mean, square = (
            torch.cat([part.flatten() for part in self._parts(whole)]) for whole in (self.mean, self.square)
        )
        return {"mean": mean, "square": square, "n_steps": self.n_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        for whole, stored in ((self.mean, state_dict["mean"]), (self.square, state_dict["square"])):
            for part, entries in zip(self._parts(whole), torch.split(stored, list(self.sizes)), strict=True):
                part.copy_(entries.view(part.shape))
        self.n_steps = state_dict["n_steps"]

    def _parts(self, whole: Tensor) -> list[Tensor]:
        """What belongs to each parameter, seen as that parameter is."""
        pairs = zip(self.parameters, torch.split(whole, list(self.sizes)), strict=True)
        return [part.as_strided(p.shape, p.stride(), part.storage_offset()) for p, part in pairs]


def _alike(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the memory layout of its parameter."""
    return (
        gradient
        if gradient.stride() == parameter.stride()
        else gradient.new_empty_strided(parameter.shape, parameter.stride()).copy_(gradient)
    )
