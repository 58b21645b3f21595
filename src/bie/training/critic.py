"""The penalty's part of a training step: its critic learns, then it gives its term of the model's loss."""

import math
from typing import Any

import torch
from torch import Tensor

from bie.errors import RunFailed
from bie.models.noise import Noise, Replay
from bie.penalties.base import Penalty
from bie.training.optimiser import adam

MOST_HALVINGS = 5
"""How often the critic of a run may diverge before the run is given up."""


class PenaltyTrainer:
    """A penalty in training, with the optimiser of its critic.

    A critic with which the encoder's loss is not finite has diverged. It goes back to where it was before it
    learned from this minibatch, gives its term by the same draws, and goes on at half the learning rate with
    a fresh Adam, whose moments the bad gradient has spoiled.

    Parameters
    ----------
    penalty
        What is trained.
    epochs
        Of the whole training.
    noise
        Stream of the penalty's draws.

    Attributes
    ----------
    halvings
        How often the critic has diverged so far.
    """

    def __init__(self, penalty: Penalty, epochs: int, noise: Noise) -> None:
        self.penalty, self.epochs, self.noise = penalty, epochs, noise
        kept = penalty.state_dict().keys()
        buffers = [buffer for name, buffer in penalty.named_buffers() if name in kept]
        self._tensors = [tensor.detach() for tensor in (*penalty.parameters(), *buffers)]  # the same memory
        self._before = [tensor.clone() for tensor in self._tensors]
        self.slow_down(0)

    def begin(self, epoch: int) -> None:
        """Tell the penalty how far the training is."""
        self.penalty.epoch, self.penalty.progress = epoch, epoch / self.epochs

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Train the critic on the detached latent vectors of a minibatch, then ask for the encoder's loss.

        Parameters
        ----------
        z_nd, mean_nd, batch_n
            Samples and means of the cells' latent distributions, batch codes.

        Raises
        ------
        RunFailed
            Cause ``nan``: the critic diverged once more after `MOST_HALVINGS`.
        """
        if not self.penalty.critic_steps:
            return self.penalty.encoder_loss(self.penalty.critic_input(z_nd, mean_nd), batch_n, self.noise)
        for before, tensor in zip(self._before, self._tensors, strict=True):
            before.copy_(tensor)
        score_noise = Replay(self.noise)
        loss, terms = self.penalty.update_and_score(
            z_nd, mean_nd, batch_n, self.noise, score_noise, self.optimiser
        )
        if not _finite(loss, *terms.values()):
            seen_nd = self.penalty.critic_input(z_nd, mean_nd)
            if _finite(seen_nd.square().sum()):  # or else it is the model
                self._go_back()
                for latent_nd in (z_nd, mean_nd):
                    if (
                        latent_nd.is_leaf and latent_nd.grad is not None
                    ):  # see `bie.kernels.gradients.add_gradient`
                        latent_nd.grad.zero_()
                loss, terms = self.penalty.encoder_loss(seen_nd, batch_n, score_noise.rewound())
        return loss, terms

    def facts(self) -> dict[str, float]:
        """Columns of the history, the same in every epoch."""
        return {"critic_halvings": self.halvings} if self.penalty.critic_steps else {}

    def state_dict(self) -> dict[str, Any]:
        """All that training changes."""
        state = {"penalty": self.penalty.state_dict(), "halvings": self.halvings}
        return state | ({"optimiser": self.optimiser.state_dict()} if self.penalty.critic_steps else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the trainer whose state it is."""
        self.penalty.load_state_dict(state["penalty"])
        self.slow_down(state["halvings"])
        if self.penalty.critic_steps:
            self.optimiser.load_state_dict(state["optimiser"])

    def _go_back(self) -> None:
        if self.halvings == MOST_HALVINGS:
            raise diverged(self.penalty, self.penalty.epoch)
        for before, tensor in zip(self._before, self._tensors, strict=True):
            tensor.copy_(before)
        self.slow_down(self.halvings + 1)

    def slow_down(self, halvings: int) -> None:
        """Go on at the learning rate halved so many times, with a fresh Adam."""
        self.halvings = halvings
        if self.penalty.critic_steps:
            lr = self.penalty.critic_lr / 2**halvings
            self.optimiser = adam(self.penalty.parameters(), lr)


class Judge:
    """A penalty's term by its critic as it is, for cells that nothing learns from.

    Parameters
    ----------
    penalty
        Alone, or that of a pack.
    noise
        Stream of the term's draws.
    """

    def __init__(self, penalty: Penalty, noise: Noise) -> None:
        self.penalty, self.noise = penalty, noise

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The encoder's loss and terms for the history.

        A bound may be minus infinity for cells that its critic has not seen; that ends no run, and is told
        as the lowest number there is.
        """
        seen_nd = self.penalty.critic_input(z_nd, mean_nd)
        loss, terms = self.penalty.encoder_loss(seen_nd, batch_n, self.noise)
        lowest = torch.finfo(loss.dtype).min
        return loss.clamp_min(lowest), {name: value.clamp_min(lowest) for name, value in terms.items()}


def diverged(penalty: Penalty, epoch: int) -> RunFailed:
    """Failure of a run whose critic diverged once too often, in the epoch counted from 0."""
    name, lr = penalty.name, penalty.critic_lr
    return RunFailed(
        "nan",
        f"the {name} critic diverged in epoch {epoch + 1}, {name}.lr={lr:g} and halved "
        f"{MOST_HALVINGS} times: a lower {name}.lr may help",
    )


def _finite(*values: Tensor) -> bool:
    return all(math.isfinite(value.item()) for value in values)
