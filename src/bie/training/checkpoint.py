"""The state of a training between two epochs: all that the next epoch depends on.

A training that starts from the state of another goes on as that one would have, bit by bit on a CPU.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch

State = dict[str, Any]
"""Tensors, numbers, strings, lists and dicts: what `torch.load` reads with ``weights_only=True``."""


class Keeper:
    """Where a training may find the state of an earlier one and leave its own. This one keeps nothing."""

    def start(self) -> State | None:
        """State to go on from, or None for a beginning."""
        return None

    def epoch_ended(self, snapshot: Callable[[], State]) -> None:
        """Take note of an epoch; its state is made where `snapshot` is called, for immediate use.

        What is raised here ends the training.
        """


class Stateful(Protocol):
    """A module or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """All that training changes."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Set it."""


class Snapshots:
    """Takes states of a training and puts them back.

    Parameters
    ----------
    parts
        Modules and optimisers by name.
    noise
        Streams of the torch draws by name.
    order
        Stream of the minibatches.
    history
        Rows of the epochs that are over; the list grows with the training.
    """

    def __init__(
        self,
        parts: Mapping[str, Stateful],
        noise: Mapping[str, torch.Generator],
        order: np.random.Generator,
        history: list[dict[str, float]],
    ) -> None:
        self.parts, self.noise, self.order, self.history = parts, noise, order, history

    def take(self) -> State:
        """The state now. Tensors are those of the training, not copies."""
        return {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "noise": {name: generator.get_state() for name, generator in self.noise.items()},
            "order": self.order.bit_generator.state,
            "history": list(self.history),
        }

    def restore(self, state: State) -> None:
        """Go to a state that was taken of a training with the same configuration on the same cells."""
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for name, generator in self.noise.items():
            generator.set_state(state["noise"][name])
        self.order.bit_generator.state = state["order"]
        self.history[:] = state["history"]
