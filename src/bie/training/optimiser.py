"""Adam (Kingma and Ba 2015), the optimiser of models and critics."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from bie import kernels
from bie.kernels.adam import CompiledAdam
from bie.kernels.native import is_float32_cpu
from bie.penalties.base import Steps


class Optimiser(Steps, Protocol):
    """What the training loop asks for."""

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
        Step size, what is added to the denominator, and the factor of the parameters in their gradient.
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
