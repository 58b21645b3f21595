"""The penalties of a pack in training: what `bie.training.critic` does, for all of its runs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bie.models.noise import Noise, Replay
from bie.penalties.base import Penalty
from bie.training.critic import Judge, PenaltyTrainer
from bie.training.optimiser import moments, set_moments
from bie.training.stack import Stack, StackedAdam, fill

HALVINGS = "critic_halvings"


class PackPenalty:
    """The penalties of several runs in training; see `bie.training.critic.PenaltyTrainer`.

    Whether a critic has diverged is found by a pass of its own without gradient, so that the one with
    gradient is by the critic that stays. A run whose critic has diverged too often is not stopped here.

    Parameters
    ----------
    trainers
        One of each run.
    device
        Where the critics lie.

    Attributes
    ----------
    noise
        Streams that the next step draws from.
    """

    noise: Noise

    def __init__(self, trainers: Sequence[PenaltyTrainer], device: torch.device) -> None:
        self.trainers = list(trainers)
        self.learns = trainers[0].penalty.critic_steps > 0
        self.critics = Stack([trainer.penalty for trainer in trainers], device)
        self.halvings = torch.tensor([trainer.halvings for trainer in trainers]).to(device)
        if self.learns:
            zeros = [0.0] * len(trainers)
            lr = [trainer.penalty.critic_lr / 2**trainer.halvings for trainer in trainers]
            states = [moments(trainer.optimiser, trainer.penalty.parameters()) for trainer in trainers]
            self.optimiser = StackedAdam(states, lr, [1e-8 for _ in lr], zeros, device)
        self._take_stock()

    def _take_stock(self) -> None:
        vector = self.critics.vector
        self._strengths = torch.zeros(len(vector), dtype=vector.dtype, device=vector.device)
        self._penalty().strengths = self._strengths

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes."""
        of_critics = [self.critics.vector, *self.critics.buffers.values(), self.halvings]
        return of_critics + (self.optimiser.state if self.learns else [])

    def _penalty(self) -> Penalty:
        penalty = self.critics.bind()
        assert isinstance(penalty, Penalty)
        return penalty

    def begin(self, epoch: int, epochs: int) -> None:
        """Tell the penalties how far the training is."""
        penalty = self._penalty()
        penalty.epoch, penalty.progress = epoch, epoch / epochs
        weight = penalty.weight()
        fill(self._strengths, [trainer.penalty.scale * weight for trainer in self.trainers])

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Train the critics on the detached latent vectors of the minibatches; then the encoders' losses."""
        z_nd = self._penalty().critic_input(z_nd, mean_nd)
        if not self.learns:
            return self._penalty().encoder_loss(z_nd, batch_n, self.noise)
        before, still = self.critics.copy(), z_nd.detach()
        for _ in range(self._penalty().critic_steps):
            loss = self._penalty().critic_loss(still, batch_n, self.noise)
            (gradient,) = torch.autograd.grad(loss.sum(), self.critics.vector)
            self.optimiser.step(self.critics.vector, gradient)
        noise = Replay(self.noise)
        self._judge(*self._penalty().encoder_loss(still, batch_n, noise), still, before)
        return self._penalty().encoder_loss(z_nd, batch_n, noise.rewound())

    @torch.no_grad()
    def _judge(
        self, loss: Tensor, terms: Mapping[str, Tensor], z_nd: Tensor, before: Mapping[str, Tensor]
    ) -> None:
        """Take critics back that have diverged."""
        healthy = torch.stack([loss, *terms.values()]).isfinite().all(0)
        bad = ~healthy & z_nd.square().sum((-2, -1)).isfinite()  # or else it is the model
        self.critics.go_back(bad, before)
        self.optimiser.slow_down(bad)
        self.halvings += bad

    def judge(self, noise: Noise) -> Judge:
        """The penalties without steps of their critics."""
        return Judge(self._penalty(), noise)

    def facts(self) -> dict[str, Tensor]:
        """How often the critics have diverged so far, ``(r,)``."""
        return {HALVINGS: self.halvings} if self.learns else {}

    def keep(self, places: Sequence[int], index: Tensor) -> None:
        """Go on with some of the runs only."""
        self.trainers, self.halvings = [self.trainers[place] for place in places], self.halvings[index]
        self.critics.keep(index)
        if self.learns:
            self.optimiser.keep(index)
        self._take_stock()

    def write(self, place: int) -> None:
        """Bring the trainer of one run to where its run is."""
        trainer = self.trainers[place]
        self.critics.write(place, trainer.penalty)
        trainer.slow_down(int(self.halvings[place]))
        if self.learns:
            set_moments(trainer.optimiser, trainer.penalty.parameters(), self.optimiser.moments(place))
