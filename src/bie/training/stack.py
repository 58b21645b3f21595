"""Many modules of one shape as one, and the Adam of all of them.

The parameters of run i are row i of one matrix ``(r, p)``, whose columns the module sees as its parameters
with a leading axis of runs. Adam is then a few operations on that matrix whatever the number of layers, and
to leave a run out is to leave out a row.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bie.training.optimiser import Moments


class Stack:
    """Modules of equal shapes as one module.

    Parameters
    ----------
    modules
        One of each run. Their parameters, and the buffers that training changes, are copied; constants
        (buffers that no state keeps) stay one for all runs where they are equal.
    device
        Where the stack lies.

    Attributes
    ----------
    module
        The modules in one, for tensors ``(r, n, ...)``; after `bind`.
    vector
        All parameters, ``(r, p)``: the leaf that gradients are taken by.
    """

    def __init__(self, modules: Sequence[nn.Module], device: torch.device) -> None:
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
        self.bind()

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.vector)

    def bind(self) -> nn.Module:
        """Let the module's parameters be the vector as it is now; gradients reach the vector."""
        for name, of_runs in self._parts(self.vector).items():
            owner, leaf = self._owner(name)
            owner._parameters[leaf] = of_runs  # type: ignore[assignment]
        return self.module

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What training changes besides the parameters, with a leading axis of runs."""
        return {name: self.module.get_buffer(name) for name in self._stacked}

    def copy(self) -> dict[str, Tensor]:
        """Copies of the vector (under the empty name) and the buffers, for `go_back`."""
        return {name: tensor.detach().clone() for name, tensor in {"": self.vector, **self.buffers}.items()}

    @torch.no_grad()
    def go_back(self, runs: Tensor, before: Mapping[str, Tensor]) -> None:
        """Set the runs marked in the mask ``(r,)`` to what they were when `before` was copied."""
        for name, tensor in {"": self.vector, **self.buffers}.items():
            mask = runs.view(-1, *[1] * (tensor.ndim - 1))
            tensor.copy_(torch.where(mask, before[name], tensor))

    def keep(self, index: Tensor) -> None:
        """Leave out all runs but those at some places."""
        self.vector = self.vector.detach()[index].requires_grad_()
        for name, buffer in self.buffers.items():
            self._set_buffer(name, buffer[index])

    @torch.no_grad()
    def write(self, place: int, module: nn.Module) -> None:
        """Copy one run's parameters and buffers into a module of its own."""
        for name, of_runs in {**self._parts(self.vector), **self.buffers}.items():
            target = module.get_parameter(name) if name in self._shapes else module.get_buffer(name)
            target.copy_(of_runs[place])

    def _parts(self, vector: Tensor) -> dict[str, Tensor]:
        """Each parameter of all runs, a view of the vector."""
        pieces = torch.split(vector, [shape.numel() for shape in self._shapes.values()], -1)
        named = zip(self._shapes.items(), pieces, strict=True)
        return {name: piece.view(len(self), *shape) for (name, shape), piece in named}

    def _set_buffer(self, name: str, value: Tensor) -> None:
        owner, leaf = self._owner(name)
        owner._buffers[leaf] = value

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        return self.module.get_submodule(path), leaf


class StackedAdam:
    """`bie.training.optimiser.adam` for a vector ``(r, p)``, each run with settings and a state of its own.

    Parameters
    ----------
    moments
        State of each run.
    lr, eps, weight_decay
        As for `adam`, one number for each run.
    device
        Where the vector lies.
    """

    beta1, beta2 = 0.9, 0.999

    def __init__(
        self,
        moments: Sequence[Moments],
        lr: Sequence[float],
        eps: Sequence[float],
        weight_decay: Sequence[float],
        device: torch.device,
    ) -> None:
        self.mean = torch.stack([of_run.mean for of_run in moments]).to(device, copy=True)
        self.square = torch.stack([of_run.square for of_run in moments]).to(device, copy=True)
        n_steps = [of_run.n_steps for of_run in moments]
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


def fill(memory: Tensor, numbers: Sequence[float]) -> None:
    """Put a number for each run where recorded steps will read it."""
    memory.copy_(torch.tensor(numbers, dtype=torch.float64))
