"""A module with its Adam, as an engine trains it: one as it is, or many of one shape as one.

======== ================================================= =================================================
`Solo`   the module itself, without an axis of runs        compiled Adam where there is one
`Stack`  the parameters of run i are row i of a matrix     a few operations on that matrix, whatever the
         ``(r, p)``, whose columns the module sees as its  number of layers
         parameters with a leading axis of runs
======== ================================================= =================================================

What one run alone decides by looking at a number, both decide by a mask ``(r,)``, or ``()``.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from bie.training.optimiser import Moments, Rule, StackedAdam, adam, moments, set_moments


class Start(NamedTuple):
    """A module, how its Adam steps (None: never), and the moments that it goes on from (None: at rest)."""

    module: nn.Module
    rule: Rule | None
    moments: Mapping[str, Any] | None = None


class Learner(Protocol):
    """What `Solo` and `Stack` are to an engine.

    Attributes
    ----------
    homes
        The module of each run.
    shape
        Of a number for each run.
    """

    homes: Sequence[nn.Module]
    shape: tuple[int, ...]

    @property
    def leaves(self) -> list[Tensor]:
        """What gradients are taken by."""

    @property
    def state(self) -> list[Tensor]:
        """All that steps change, where it lies."""

    def within(self, prefix: str) -> list[Tensor]:
        """Which entries of the `leaves` are of parameters so named: factors 1, or 0."""

    def bind(self) -> nn.Module:
        """The module of all runs; gradients reach `leaves`."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Change `leaves` by gradients of theirs."""

    def copy(self) -> list[Tensor]:
        """What `go_back` goes back to."""

    def go_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """Set the marked runs to what they were, and let them go on from rest at half the learning rate."""

    def part(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """State of a run's module, which is brought up to date, and of its Adam (empty if it never steps)."""


class Solo(Learner):
    """One run.

    Parameters
    ----------
    start
        Of the run.
    """

    shape = ()

    def __init__(self, start: Start) -> None:
        self.module, self._rule, known = start
        self.homes = [self.module]
        self._leaves: list[Tensor] = list(self.module.parameters())
        kept = self.module.state_dict().keys()
        buffers = [buffer for name, buffer in self.module.named_buffers() if name in kept]
        self._changing = [tensor.detach() for tensor in (*self._leaves, *buffers)]  # the same memory
        self.optimiser = adam(self._leaves, *self._rule) if self._rule else None
        if self.optimiser and known:
            set_moments(self.optimiser, self._leaves, Moments(**known))

    @property
    def leaves(self) -> list[Tensor]:
        """See `Learner`."""
        return self._leaves

    @property
    def state(self) -> list[Tensor]:
        """See `Learner`; nobody records the steps of one run alone on a CPU, and its Adam's is its own."""
        return self._changing

    def within(self, prefix: str) -> list[Tensor]:
        """See `Learner`."""
        named = self.module.named_parameters()
        return [leaf.new_tensor(float(name.startswith(prefix))) for name, leaf in named]

    def bind(self) -> nn.Module:
        """See `Learner`."""
        return self.module

    def step(self, gradients: Sequence[Tensor]) -> None:
        """See `Learner`."""
        assert self.optimiser
        for leaf, gradient in zip(self._leaves, gradients, strict=True):
            leaf.grad = gradient
        self.optimiser.step()

    def copy(self) -> list[Tensor]:
        """See `Learner`."""
        return [tensor.clone() for tensor in self._changing]

    def go_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """See `Learner`."""
        if not runs:
            return
        assert self._rule
        for tensor, value in zip(self._changing, before, strict=True):
            tensor.copy_(value)
        self._rule = self._rule._replace(lr=self._rule.lr / 2)
        self.optimiser = adam(self._leaves, *self._rule)

    def part(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Learner`."""
        known = moments(self.optimiser, self._leaves)._asdict() if self.optimiser else {}
        return self.module.state_dict(), known


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
        All parameters, ``(r, p)``: the leaf that gradients are taken by.
    """

    def __init__(self, starts: Sequence[Start], device: torch.device) -> None:
        self.homes = modules = [start.module for start in starts]
        tensors = {id(tensor): tensor for tensor in (*modules[0].parameters(), *modules[0].buffers())}
        self.module = copy.deepcopy(modules[0], tensors)  # all but the tensors, which are replaced
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

    def within(self, prefix: str) -> list[Tensor]:
        """See `Learner`."""
        marks = [
            self.vector.new_full((shape.numel(),), name.startswith(prefix))
            for name, shape in self._shapes.items()
        ]
        return [torch.cat(marks)]

    def bind(self) -> nn.Module:
        """See `Learner`."""
        for name, of_runs in self._parts(self.vector).items():
            owner, leaf = self._owner(name)
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
    def go_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """See `Learner`."""
        for tensor, value in zip((self.vector, *self._buffers.values()), before, strict=True):
            mask = runs.view(-1, *[1] * (tensor.ndim - 1))
            tensor.copy_(torch.where(mask, value, tensor))
        assert self.optimiser
        self.optimiser.slow_down(runs)

    def keep(self, places: Sequence[int], index: Tensor) -> None:
        """Leave out all runs but those at some places, which `index` holds on the device."""
        self.homes = [self.homes[place] for place in places]
        self.vector = self.vector.detach()[index].requires_grad_()
        for name, buffer in self._buffers.items():
            self._set_buffer(name, buffer[index])
        if self.optimiser:
            self.optimiser.keep(index)

    @torch.no_grad()
    def part(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Learner`."""
        home = self.homes[place]
        for name, of_runs in {**self._parts(self.vector), **self._buffers}.items():
            target = home.get_parameter(name) if name in self._shapes else home.get_buffer(name)
            target.copy_(of_runs[place])
        return home.state_dict(), self.optimiser.moments(place)._asdict() if self.optimiser else {}

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
