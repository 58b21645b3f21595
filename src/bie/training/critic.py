"""The penalty's part of a training step: its critic learns, then it says what it makes of the minibatch."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from bie.errors import RunFailed
from bie.models.noise import Noise, Replay
from bie.penalties.base import Penalty
from bie.training.learner import Learner, Solo
from bie.training.run import HALVINGS, Progress
from bie.training.schedules import fill
from bie.training.stacked_learner import Stack

MOST_HALVINGS = 5
"""How often the critic of a run may diverge before the run is given up."""


class EncoderLoss(NamedTuple):
    """The penalty's part of the model's loss on a minibatch, with its gradient.

    Attributes
    ----------
    loss
        Of each run, ``(...)``, nats per cell, scale included.
    terms
        Unscaled terms for the history, each ``(...)``.
    grad_z_nd, grad_mean_nd
        Gradients of the loss w.r.t. samples and means of the latent vectors; None: it does not read them.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    grad_z_nd: Tensor | None
    grad_mean_nd: Tensor | None


class Kernel(Protocol):
    """A critic's steps on a minibatch and what it says then, in one call (`bie.training.penalty_kernels`)."""

    learns: bool
    """False: autograd takes the critic's steps, and `learn` is not called."""

    def learn(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> EncoderLoss | None:
        """Take the critic's steps; None: autograd takes the encoder's loss."""

    def evaluate(self, seen_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """`Penalty.encoder_loss` without gradient; None: there is no kernel for that."""


class Critics:
    """The penalties of one or several runs in training.

    A critic with which the encoder's loss is not finite has diverged. It is rolled back to where it was
    before it learned from this minibatch, and goes on at half the learning rate with a fresh Adam, whose
    moments the bad gradient has spoiled. In a stack a pass without gradient finds that out, so that the pass
    with gradient is taken once, with the critic that stays. A run whose critic has diverged too often is not
    stopped here but by `bie.training.fit`, which sees `halvings`.

    Parameters
    ----------
    learner
        The penalties, with the optimiser of their critics.
    halvings
        How often the critic of each run has diverged so far.
    epochs
        Of the whole training.
    kernel
        What one run alone has in place of steps by autograd.
    """

    def __init__(self, learner: Learner, halvings: Tensor, epochs: int, kernel: Kernel | None = None) -> None:
        self.learner, self.halvings, self.epochs, self.kernel = learner, halvings, epochs, kernel
        self.learns = self.penalty.critic_steps > 0
        self._allocate_scales()

    def _allocate_scales(self) -> None:
        """Memory for the scale of each run of a stack, where recorded steps read it."""
        self._current_scales = torch.zeros(self.learner.shape, device=self.halvings.device)
        if self.learner.shape:  # one alone has a number of its own
            self._current_scales = self._current_scales.to(self.learner.leaves[0].dtype)
            self.penalty.current_scales = self._current_scales

    @property
    def penalty(self) -> Penalty:
        """The penalty of the run, or that of a stack, with an axis of runs."""
        return cast("Penalty", self.learner.bind())

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes."""
        return [*self.learner.state, self.halvings]

    def begin(self, epoch: int) -> None:
        """Tell the penalties how far the training is, in epochs counted from 0."""
        penalty = self.penalty
        penalty.epoch, penalty.progress = epoch, epoch / self.epochs
        if penalty.preference:
            penalty.preference.begin(epoch, self.epochs)
        if self.learner.shape:
            factor = penalty.scale_factor()
            scales = [cast("Penalty", module).scale for module in self.learner.run_modules]
            fill(self._current_scales, [scale * factor for scale in scales])

    def step(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor, noise: Noise) -> EncoderLoss:
        """Train the critics on the latent vectors of a minibatch, then ask for the encoder's loss.

        Parameters
        ----------
        z_nd, mean_nd, batch_n
            Samples and means of the cells' latent distributions, ``(..., n, d)``, detached from the model;
            batch codes ``(..., n)``.
        noise
            Stream of the penalty's draws.
        """
        kernel = self.kernel if self.kernel and self.kernel.learns else None
        if not self.learns:
            found = kernel.learn(z_nd, mean_nd, batch_n) if kernel else None
            return found or self._encoder_loss(z_nd, mean_nd, batch_n, noise)
        # A critic that diverges is rolled back and asked again, with the same draws: hence copies and replay.
        before, replay = self.learner.copy(), Replay(noise)
        found = kernel.learn(z_nd, mean_nd, batch_n) if kernel else None
        if found and _finite(found):
            return found
        with torch.no_grad():
            seen_nd = self.penalty.critic_input(z_nd, mean_nd)
        if not kernel:
            self._train_critic(seen_nd, batch_n, noise)
        if not found and not self.learner.shape:  # one alone may branch on a value; runs in a stack may not
            found = self._encoder_loss(z_nd, mean_nd, batch_n, replay)
            if _finite(found):
                return found
        with torch.no_grad():
            loss, terms = found[:2] if found else self.penalty.encoder_loss(seen_nd, batch_n, replay)
            self._roll_back(loss, terms, seen_nd, before)
        return self._encoder_loss(z_nd, mean_nd, batch_n, replay.rewound())

    def _train_critic(self, seen_nd: Tensor, batch_n: Tensor, noise: Noise) -> None:
        """Steps of the critics, each by the gradient of `Penalty.critic_loss`."""
        for _ in range(self.penalty.critic_steps):
            with torch.enable_grad():
                loss = self.penalty.critic_loss(seen_nd, batch_n, noise)
                gradients = torch.autograd.grad(loss.sum(), self.learner.leaves)
            self.learner.step(gradients)

    def _roll_back(
        self, loss: Tensor, terms: dict[str, Tensor], seen_nd: Tensor, before: Sequence[Tensor]
    ) -> None:
        """Roll back critics that have diverged: those with a loss or a term that is not finite.

        Not where the latent vectors themselves are not finite: then it is the model that has diverged.
        """
        healthy = torch.stack([loss, *terms.values()]).isfinite().all(0)
        bad = ~healthy & seen_nd.square().sum((-2, -1)).isfinite()
        self.learner.roll_back(bad, before)
        self.halvings += bad

    def _encoder_loss(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor, noise: Noise) -> EncoderLoss:
        """The encoder's loss, and its gradient by autograd."""
        z_nd, mean_nd = (latent_nd.detach().requires_grad_() for latent_nd in (z_nd, mean_nd))
        with torch.enable_grad():
            penalty = self.penalty
            loss, terms = penalty.encoder_loss(penalty.critic_input(z_nd, mean_nd), batch_n, noise)
            grads: tuple[Tensor | None, ...] = (None, None)
            if loss.requires_grad:
                # A loss depends on the latent vectors of its own run alone, so the gradient of the sum
                # over runs is the gradient of each.
                grads = torch.autograd.grad(loss.sum(), (z_nd, mean_nd), allow_unused=True)
        return EncoderLoss(loss.detach(), {name: term.detach() for name, term in terms.items()}, *grads)

    def evaluate(
        self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The encoder's loss by critics as they are, for cells that nothing learns from; without gradient.

        A bound may be minus infinity for cells that its critic has not seen; that ends no run, and is told
        as the lowest number there is.
        """
        seen_nd = self.penalty.critic_input(z_nd, mean_nd)
        found = self.kernel.evaluate(seen_nd, batch_n) if self.kernel else None
        loss, terms = found or self.penalty.encoder_loss(seen_nd, batch_n, noise)
        lowest = torch.finfo(loss.dtype).min
        return loss.clamp_min(lowest), {name: value.clamp_min(lowest) for name, value in terms.items()}

    def history_columns(self) -> dict[str, Tensor]:
        """How often the critics have diverged so far."""
        return {HALVINGS: self.halvings} if self.learns else {}

    def keep(self, places: Sequence[int], index: Tensor) -> None:
        """Go on with some of the runs of a stack only."""
        assert isinstance(self.learner, Stack)
        self.learner.keep(places, index)
        self.halvings = self.halvings[index]
        self._allocate_scales()

    def run_state(self, place: int) -> dict[str, Any]:
        """State of one run; see `bie.training.run.Progress.trained`."""
        module, optimiser = self.learner.run_state(place)
        halvings = int(self.halvings.view(-1)[place])
        return {"penalty": module, "halvings": halvings} | ({"optimiser": optimiser} if optimiser else {})


def critics_of(runs: Sequence[Progress], device: torch.device, alone: bool) -> Critics | None:
    """The penalties of runs, which all have one or none.

    Parameters
    ----------
    runs, device
        Who trains, where.
    alone
        Whether it is one run without an axis of runs; such a one has kernels, where there are any.
    """
    if runs[0].run.penalty is None:
        return None
    starts, halvings = zip(*(run.critic_start() for run in runs), strict=True)
    if not alone:
        return Critics(Stack(starts, device), torch.tensor(halvings).to(device), runs[0].run.settings.epochs)
    from bie.training.penalty_kernels import kernel_of

    solo = Solo(starts[0])
    kernel = kernel_of(runs[0].run, solo)
    return Critics(solo, torch.tensor(halvings[0]), runs[0].run.settings.epochs, kernel)


def diverged(penalty: Penalty, epoch: int) -> RunFailed:
    """Failure of a run whose critic diverged once too often, in the epoch counted from 0."""
    name, lr = penalty.name, penalty.critic_lr
    return RunFailed(
        "nan",
        f"the {name} critic diverged in epoch {epoch + 1}, {name}.lr={lr:g} and halved "
        f"{MOST_HALVINGS} times: a lower {name}.lr may help",
    )


def _finite(found: EncoderLoss) -> bool:
    return all(math.isfinite(value.item()) for value in (found.loss, *found.terms.values()))
