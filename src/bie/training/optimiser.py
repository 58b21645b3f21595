"""Adam (Kingma and Ba 2015), the optimiser of models and critics."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from bie import kernels
from bie.kernels.adam import CompiledAdam
from bie.kernels.native import is_float32_cpu


class Rule(NamedTuple):
    """Step size, what is added to the denominator, and the factor of the parameters in their gradient."""

    lr: float
    eps: float = 1e-8
    weight_decay: float = 0.0


class Optimiser(Protocol):
    """What is asked of the Adam of one run."""

    def zero_grad(self) -> object:
        """Forget the gradients."""

    def step(self) -> object:
        """Change the parameters by their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Moments and number of steps."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Go on from there."""


def adam(parameters: Iterable[Tensor], lr: float, eps: float = 1e-8, weight_decay: float = 0.0) -> Optimiser:
    """Adam with the decay rates of the paper, 0.9 and 0.999; compiled where that can be.

    Parameters
    ----------
    parameters
        Leaves with gradient.
    lr, eps, weight_decay
        See `Rule`.
    """
    tensors = list(parameters)
    if kernels.is_active() and all(is_float32_cpu(t) and _in_memory(t).is_contiguous() for t in tensors):
        return CompiledAdam(tensors, lr, eps, weight_decay)
    return torch.optim.Adam(tensors, lr=lr, eps=eps, weight_decay=weight_decay, fused=True)


class Moments(NamedTuple):
    """State of an `adam`: moments of the gradient of all parameters, one after the other, ``(p,)``."""

    mean: Tensor
    square: Tensor
    n_steps: int


def moments(optimiser: Optimiser, parameters: Iterable[Tensor]) -> Moments:
    """State of an `adam` of these parameters."""
    state = optimiser.state_dict()
    if "mean" in state:
        return Moments(state["mean"], state["square"], state["n_steps"])
    tensors, states = list(parameters), state["state"]
    if not states:
        zeros = torch.cat([torch.zeros(0), *(torch.zeros_like(tensor).flatten() for tensor in tensors)])
        return Moments(zeros, zeros, 0)
    mean, square = (
        torch.cat([states[i][name].flatten() for i in range(len(tensors))])
        for name in ("exp_avg", "exp_avg_sq")
    )
    return Moments(mean, square, int(states[0]["step"]))


def set_moments(optimiser: Optimiser, parameters: Iterable[Tensor], state: Moments) -> None:
    """Let an `adam` of these parameters go on from there."""
    known = optimiser.state_dict()
    if "mean" in known:
        optimiser.load_state_dict(state._asdict())
        return
    tensors = list(parameters)
    parts = [torch.split(part, [t.numel() for t in tensors]) for part in (state.mean, state.square)]
    states = {
        i: {"step": torch.tensor(float(state.n_steps)), "exp_avg": _like(t, m), "exp_avg_sq": _like(t, s)}
        for i, (t, m, s) in enumerate(zip(tensors, *parts, strict=True))
    }
    optimiser.load_state_dict({**known, "state": states if state.n_steps else {}})


def _like(parameter: Tensor, entries: Tensor) -> Tensor:
    """Entries in the shape and the memory layout of a parameter, which the fused Adam relies on."""
    return torch.empty_like(parameter).copy_(entries.view(parameter.shape))


def _in_memory(parameter: Tensor) -> Tensor:
    """The parameter, or its transpose if it lies in memory as that."""
    return parameter if parameter.is_contiguous() or parameter.ndim < 2 else parameter.mT


class StackedAdam:
    """`adam` for a vector ``(r, p)``, each run with settings and a state of its own.

    Parameters
    ----------
    moments
        State of each run.
    rules
        Of each run.
    device
        Where the vector lies.
    """

    beta1, beta2 = 0.9, 0.999

    def __init__(
        self,
        moments: Sequence[Moments],
        rules: Sequence[Rule],
        device: torch.device,
    ) -> None:
        self.mean = torch.stack([of_run.mean for of_run in moments]).to(device, copy=True)
        self.square = torch.stack([of_run.square for of_run in moments]).to(device, copy=True)
        n_steps = [of_run.n_steps for of_run in moments]
        lr, eps, weight_decay = zip(*rules, strict=True)
        self.decays = any(weight_decay)
        self.n_steps, self.lr, self.eps, self.weight_decay = (
            torch.tensor(numbers, dtype=torch.float64).unsqueeze(-1).to(device)
            for numbers in (n_steps, lr, eps, weight_decay)
        )  # a power of beta2 needs more than single precision to be taken from 1

    @property
    def state(self) -> list[Tensor]:
        """All that steps change, where it lies."""
        return [self.mean, self.square, self.n_steps, self.lr]

    @torch.no_grad()
    def step(self, vector: Tensor, gradient: Tensor) -> None:
        """Change the vector, in place, by its gradient."""
        if self.decays:
            gradient = gradient + self.weight_decay.to(vector.dtype) * vector
        self.n_steps += 1
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        rate = self.lr / (1 - self.beta1**self.n_steps)
        correction = (1 - self.beta2**self.n_steps).sqrt()
        scale = self.square.sqrt().div_(correction.to(vector.dtype)).add_(self.eps.to(vector.dtype))
        vector.sub_(rate.to(vector.dtype) * self.mean / scale)

    @torch.no_grad()
    def slow_down(self, runs: Tensor) -> None:
        """Half the learning rate, and a beginning, for the runs marked in the mask ``(r,)``."""
        mask = runs.unsqueeze(-1)
        for tensor in (self.mean, self.square, self.n_steps):
            tensor.masked_fill_(mask, 0)
        self.lr.copy_(torch.where(mask, self.lr / 2, self.lr))

    def keep(self, index: Tensor) -> None:
        """Leave out all runs but those at some places."""
        for name in ("mean", "square", "n_steps", "lr", "eps", "weight_decay"):
            setattr(self, name, getattr(self, name)[index])

    def moments(self, place: int) -> Moments:
        """State of one run, on the CPU."""
        return Moments(self.mean[place].cpu(), self.square[place].cpu(), int(self.n_steps[place]))
