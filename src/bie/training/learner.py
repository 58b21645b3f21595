"""A module with its Adam, as an engine trains it: of one run, or of many that have one shape.

`Solo` is the module itself, without an axis of runs, with a compiled Adam where there is one; many
runs are a `bie.training.stacked_learner.Stack`.

Which runs a decision is about (`Learner.roll_back`) is a mask ``(r,)``, or ``()`` of one alone: the step of a
stack never looks at a number, since a GPU would have to be waited for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from bie.training.optimiser import Moments, Rule, adam, moments, set_moments


class Start(NamedTuple):
    """A module, how its Adam steps (None: never), and the moments that it goes on from (None: at rest)."""

    module: nn.Module
    rule: Rule | None
    moments: Mapping[str, Any] | None = None


class Learner(Protocol):
    """What `Solo` and `Stack` are to an engine.

    Attributes
    ----------
    run_modules
        The module of each run.
    shape
        Of a tensor with a number for each run: ``(r,)``, or ``()`` of one alone.
    """

    run_modules: Sequence[nn.Module]
    shape: tuple[int, ...]

    @property
    def leaves(self) -> list[Tensor]:
        """Leaf tensors that gradients are taken w.r.t."""

    @property
    def state(self) -> list[Tensor]:
        """All that steps change, where it lies."""

    def mask(self, prefix: str) -> list[Tensor]:
        """For each of the `leaves`: 1 at entries of parameters whose names begin so, 0 at others."""

    def bind(self) -> nn.Module:
        """The module of all runs; gradients reach `leaves`."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Change the `leaves` by their gradients, in place."""

    def copy(self) -> list[Tensor]:
        """Parameters and buffers as they are now, for `roll_back`."""

    def roll_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """Set runs to what they were before, with a fresh Adam at half the learning rate.

        Parameters
        ----------
        runs
            Mask of the runs, in `shape`.
        before
            From `copy`.
        """

    def run_state(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
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
        self.run_modules = [self.module]
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

    def mask(self, prefix: str) -> list[Tensor]:
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

    def roll_back(self, runs: Tensor, before: Sequence[Tensor]) -> None:
        """See `Learner`."""
        if not runs:
            return
        assert self._rule
        for tensor, value in zip(self._changing, before, strict=True):
            tensor.copy_(value)
        self._rule = self._rule._replace(lr=self._rule.lr / 2)
        self.optimiser = adam(self._leaves, *self._rule)

    def run_state(self, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Learner`."""
        known = moments(self.optimiser, self._leaves)._asdict() if self.optimiser else {}
        return self.module.state_dict(), known
