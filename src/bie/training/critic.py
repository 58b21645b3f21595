"""The penalty's part of a training step: its critic learns, then it gives its term of the model's loss."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from bie.errors import RunFailed
from bie.models.noise import Noise
from bie.penalties.base import Penalty

MOST_HALVINGS = 5
"""How often the critic of a run may diverge before the run is given up."""

Terms = tuple[Tensor, dict[str, Tensor]]


class PenaltyTrainer:
    """A penalty in training, with the optimiser of its critic.

    A critic whose loss, or whose answer to the encoder, is not finite has diverged. It goes back to the last
    parameters that gave a finite loss at the beginning of a minibatch and on at half the learning rate, with
    Adam's moments, which the bad gradient has spoiled, from zero.

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
        self.halvings = 0
        self._state = [*penalty.parameters(), *penalty.buffers()]
        if penalty.critic_steps:
            self.optimiser = torch.optim.Adam(penalty.parameters(), lr=penalty.critic_lr, fused=True)
            self._keep()

    def begin(self, epoch: int) -> None:
        """Tell the penalty how far the training is."""
        self.penalty.epoch, self.penalty.progress = epoch, epoch / self.epochs

    def term(self, z_nd: Tensor, batch_n: Tensor) -> Terms:
        """Train the critic on the detached latent vectors of a minibatch, then ask for the encoder's loss.

        Raises
        ------
        RunFailed
            Cause ``nan``: the critic diverged once more after `MOST_HALVINGS`.
        """
        for step in range(self.penalty.critic_steps):
            self._critic_step(z_nd.detach(), batch_n, first=step == 0)
        loss, terms = self.penalty.encoder_loss(z_nd, batch_n, self.noise)
        if self.penalty.critic_steps and not _finite((loss, *terms.values())):
            self._back(z_nd)  # the last step of the critic was one too far
            loss, terms = self.penalty.encoder_loss(z_nd, batch_n, self.noise)
        return loss, terms

    def facts(self) -> dict[str, float]:
        """Columns of the history, the same in every epoch."""
        return {"critic_halvings": self.halvings} if self.penalty.critic_steps else {}

    def _critic_step(self, z_nd: Tensor, batch_n: Tensor, first: bool) -> None:
        self.optimiser.zero_grad()
        loss = self.penalty.critic_loss(z_nd, batch_n, self.noise)
        if not _finite((loss,)):
            self._back(z_nd)
            return
        if first:
            self._keep()
        torch.autograd.backward(loss)
        self.optimiser.step()

    @torch.no_grad()
    def _keep(self) -> None:
        self._kept = [tensor.clone() for tensor in self._state]

    @torch.no_grad()
    def _back(self, z_nd: Tensor) -> None:
        if not _finite((z_nd.square().sum(),)):
            return  # it is the model that has diverged, and the loop says so
        if self.halvings == MOST_HALVINGS:
            name, lr = self.penalty.name, self.penalty.critic_lr
            raise RunFailed(
                "nan",
                f"the {name} critic diverged in epoch {self.penalty.epoch + 1}, {name}.lr={lr:g} and halved "
                f"{MOST_HALVINGS} times: a lower {name}.lr may help",
            )
        self.halvings += 1
        for tensor, kept in zip(self._state, self._kept, strict=True):
            tensor.copy_(kept)
        self.optimiser.state.clear()
        self.optimiser.param_groups[0]["lr"] /= 2


def _finite(values: Iterable[Tensor]) -> bool:
    return all(math.isfinite(value.item()) for value in values)
