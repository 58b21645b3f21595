"""The state of a training between two epochs: all that the next epoch depends on.

A training that starts from the state of another goes on as that one would have, bit by bit on a CPU.
"""

from collections.abc import Callable
from typing import Any

State = dict[str, Any]
"""Tensors, numbers, strings, lists and dicts: what `torch.load` reads with ``weights_only=True``."""


class CheckpointHook:
    """Where a training may find the state of an earlier one and leave its own. This one keeps nothing."""

    def start(self) -> State | None:
        """State to go on from, or None for a beginning."""
        return None

    def epoch_ended(self, snapshot: Callable[[], State]) -> None:
        """Take note of an epoch; its state is made where `snapshot` is called, for immediate use.

        Its tensors are those of the training, not copies. What is raised here ends the training.
        """
