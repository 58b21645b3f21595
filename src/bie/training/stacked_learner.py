"""Many runs of one shape as one module, with one Adam: the `Learner` of a pack.

The parameters of run i are row i of a matrix ``(r, p)``. The module sees views of its columns, with a leading
axis of runs, as its parameters: its code, written for one run, counts its axes from the right. An optimiser's
step is a few operations on that matrix, whatever the number of layers.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bie.training.learner import Learner, Start
from bie.training.optimiser import Moments, StackedAdam


class Stack(Learner):
    """Many runs, whose modules have equal shapes.

    Parameters
    ----------
    starts
        Of each run. Parameters, and the buffers that training changes, are copied; constants (buffers that
        no state keeps) stay one for all runs where they are equal.
    device
        Where the stack lies.

    Attributes
    ----------
    module
        The modules in one, for tensors ``(r, n, ...)``; after `bind`.
    vector
        All parameters, ``(r, p)``: the leaf that gradients are taken w.r.t.
    """

    def __init__(self, starts: Sequence[Start], device: torch.device) -> None:
        self.run_modules = modules = [start.module for start in starts]
        # A copy of the first module whose tensors, named in deepcopy's memo, are not copied: `bind` and
        # `_set_buffer` put those of all runs in their place.
        tensors = {id(tensor): tensor for tensor in (*modules[0].parameters(), *modules[0].buffers())}
        self.module = copy.deepcopy(modules[0], tensors)
        self._shapes = {name: parameter.shape for name, parameter in modules[0].named_parameters()}
        rows = [torch.cat([torch.zeros(0), *(p.flatten() for p in m.parameters())]) for m in modules]
        self.vector = torch.stack(rows).detach().to(device).requires_grad_()
        kept, self._stacked = modules[0].state_dict().keys(), list[str]()
        for name, first in modules[0].named_buffers():
            each = [module.get_buffer(name) for module in modules]
            differ = name in kept or not all(torch.equal(one, first) for one in each)
            self._stacked += [name] if differ else []
            stacked = torch.stack(each).to(device)
            self._set_buffer(name, stacked if differ else stacked[0])
        self.optimiser = _stacked_adam(starts, rows, device)
        self.bind()

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """See `Learner`."""
        return (len(self.vector),)

    @property
    def leaves(self) -> list[Tensor]:
        """See `Learner`."""
        return [self.vector]

    @property
    def state(self) -> list[Tensor]:
        """See `Learner`."""
        of_adam = self.optimiser.state if self.optimiser else []
        return [self.vector, *self._buffers.values(), *of_adam]

    def mask(self, prefix: str) -> list[Tensor]:
        """See `Learner`."""
        masks = [
            self.vector.new_full((shape.numel(),), name.startswith(prefix))
            for name, shape in self._shapes.items()
        ]
        return [torch.cat(masks)]

    def bind(self) -> nn.Module:
        """See `Learner`."""
        for name, of_runs in self._parts(self.vector).items():
            owner, leaf = self._owner(name)
            # Views of the vector are no nn.Parameters, which `setattr` would insist on, but gradients flow
            # through them into the vector, the one leaf.
            owner._parameters[leaf] = of_runs  # type: ignore[assignment]
        return self.module

    def step(self, gradients: Sequence[Tensor]) -> None:
        """See `Learner`."""
        assert self.optimiser
        self.optimiser.step(self.vector, *gradients)

    def copy(self) -> list[Tensor]:
        """See `Learner`."""
        return [tensor.detach().clone() for tensor in (self.vector, *self._buffers.values())]

    @torch.no_grad()
    def roll_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """See `Learner`."""
        for tensor, value in zip((self.vector, *self._buffers.values()), before, strict=True):
            mask = runs.view(-1, *[1] * (tensor.ndim - 1))
            tensor.copy_(torch.where(mask, value, tensor))
        assert self.optimiser
        self.optimiser.slow_down(runs)

    def keep(self, places: Sequence[int], index: Tensor) -> None:
        """Leave out all runs but those at some places, which `index` holds on the device."""
        self.run_modules = [self.run_modules[place] for place in places]
        self.vector = self.vector.detach()[index].requires_grad_()
        for name, buffer in self._buffers.items():
            self._set_buffer(name, buffer[index])
        if self.optimiser:
            self.optimiser.keep(index)

    @torch.no_grad()
    def run_state(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Learner`."""
        own = self.run_modules[place]
        for name, of_runs in {**self._parts(self.vector), **self._buffers}.items():
            target = own.get_parameter(name) if name in self._shapes else own.get_buffer(name)
            target.copy_(of_runs[place])
        return own.state_dict(), self.optimiser.moments(place)._asdict() if self.optimiser else {}

    @property
    def _buffers(self) -> dict[str, Tensor]:
        """What training changes besides the parameters, with a leading axis of runs."""
        return {name: self.module.get_buffer(name) for name in self._stacked}

    def _parts(self, vector: Tensor) -> dict[str, Tensor]:
        """Each parameter of all runs, a view of the vector."""
        pieces = torch.split(vector, [shape.numel() for shape in self._shapes.values()], -1)
        named = zip(self._shapes.items(), pieces, strict=True)
        return {name: piece.view(len(vector), *shape) for (name, shape), piece in named}

    def _set_buffer(self, name: str, value: Tensor) -> None:
        owner, leaf = self._owner(name)
        owner._buffers[leaf] = value

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        return self.module.get_submodule(path), leaf


def _stacked_adam(
    starts: Sequence[Start], rows: Sequence[Tensor], device: torch.device
) -> StackedAdam | None:
    rules = [start.rule for start in starts if start.rule]
    if not rules:
        return None
    rest = Moments(torch.zeros_like(rows[0]), torch.zeros_like(rows[0]), 0)
    known = [Moments(**start.moments) if start.moments else rest for start in starts]
    return StackedAdam(known, rules, device)
