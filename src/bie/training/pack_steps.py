"""The steps of many runs as one: what `bie.training.fit` and `bie.training.critic` do, for all of a pack.

Nothing in a step waits for the device or depends on what is in the data, so that a step could be captured and
replayed: what a run alone decides by looking at a number, these decide by masks.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bie.models.noise import Replay, StackedNoise
from bie.penalties.base import Penalty
from bie.training.batches import CHUNK, Resident
from bie.training.critic import PenaltyTrainer
from bie.training.fit import Trainer, mean_parts, total
from bie.training.optimiser import moments, set_moments
from bie.training.schedules import KlSchedule
from bie.training.stack import Stack, StackedAdam

HALVINGS = "critic_halvings"
Terms = Mapping[str, Tensor]


class PackTrainer:
    """Trainers of equal shapes as one.

    Parameters
    ----------
    trainers
        One of each run. Their noise goes on being drawn from; their model, optimiser and critic stand still
        until `write`.
    data
        All cells, where the training is to be.
    """

    def __init__(self, trainers: Sequence[Trainer], data: Resident) -> None:
        self.trainers, self.data, self.device = list(trainers), data, data.x_ng.device
        device = self.device
        self.model = Stack([trainer.model for trainer in trainers], device)
        self.optimiser = StackedAdam(
            [moments(trainer.optimiser, trainer.model.parameters()) for trainer in trainers],
            [trainer.settings.lr for trainer in trainers],
            [trainer.settings.adam_eps for trainer in trainers],
            [trainer.settings.weight_decay for trainer in trainers],
            device,
        )
        critics = [trainer.penalty for trainer in trainers if trainer.penalty]
        self.penalty = PackPenalty(critics, device) if critics else None
        self._take_stock()

    def _take_stock(self) -> None:
        self.noise = StackedNoise([trainer.noise.generator for trainer in self.trainers])
        self.kl = PackKl([trainer.schedule for trainer in self.trainers], self.model.vector)

    def epoch(self, rows_rn: Tensor, sizes: Sequence[int], epoch: int) -> list[Terms]:
        """Take a step for each minibatch.

        Parameters
        ----------
        rows_rn
            Training rows of each run, in the order of its minibatches, on the device.
        sizes
            Cells of each minibatch.
        epoch
            Counted from 0.

        Returns
        -------
        list
            Terms of the loss of each minibatch, each ``(r,)``, nats per cell, still on the device. With a
            critic that learns, ``critic_halvings`` among them.
        """
        self.model.module.train()
        self.kl.begin(epoch)
        if self.penalty:
            self.penalty.begin(epoch, self.trainers[0].settings.epochs)
        return [self.step(*self.data.take(part_rn)) for part_rn in torch.split(rows_rn, list(sizes), -1)]

    def step(self, x_ng: Tensor, batch_n: Tensor, label_n: Tensor | None) -> Terms:
        """Take the critic's steps, then one of the model; terms of the loss before it."""
        terms = self.model.bind()(x_ng, batch_n, self.noise, label_n)
        loss, parts = total(terms, self.kl.term(terms.kl_z_n), self.penalty, batch_n)
        (gradient,) = torch.autograd.grad(loss.sum(), self.model.vector)  # of a run's loss to that run alone
        self.optimiser.step(self.model.vector, gradient)
        facts = self.penalty.facts() if self.penalty else {}
        return {name: part.detach() for name, part in {**parts, **facts}.items()}

    @torch.inference_mode()
    def evaluate(self, rows_rn: Tensor) -> list[Terms]:
        """Parts of the loss on some cells of each run, in chunks; see `bie.training.fit.loss_terms`."""
        model = self.model.bind().eval()
        noise = StackedNoise([trainer.streams.torch("evaluation", self.device) for trainer in self.trainers])
        chunks = (self.data.take(rows_rn) for rows_rn in torch.split(rows_rn, CHUNK, -1))
        return [mean_parts(model(x, batch_n, noise, label_n)) for x, batch_n, label_n in chunks]

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the runs only."""
        index = torch.tensor(places).to(self.device)
        self.trainers = [self.trainers[place] for place in places]
        self.model.keep(index)
        self.optimiser.keep(index)
        if self.penalty:
            self.penalty.keep(places, index)
        self._take_stock()

    def write(self, place: int) -> None:
        """Bring the trainer of one run to where its run is."""
        trainer = self.trainers[place]
        self.model.write(place, trainer.model)
        set_moments(trainer.optimiser, trainer.model.parameters(), self.optimiser.moments(place))
        if self.penalty:
            self.penalty.write(place)


class PackKl:
    """The KL terms of several runs, whatever the mode of each.

    Parameters
    ----------
    schedules
        One of each run.
    like
        A tensor of the model: its type and its device.
    """

    def __init__(self, schedules: Sequence[KlSchedule], like: Tensor) -> None:
        self._schedules, self._like = schedules, like
        modes = [schedule.settings.mode == "capacity" for schedule in schedules]
        self._has_capacity = torch.tensor(modes).to(like.device)

    def begin(self, epoch: int) -> None:
        """Bring the numbers of an epoch, counted from 0, to the device."""
        self._weight, self._capacity = (
            torch.tensor(numbers, dtype=torch.float64).to(self._like)
            for numbers in (
                [schedule.weight(epoch) for schedule in self._schedules],
                [schedule.capacity(epoch) for schedule in self._schedules],
            )
        )

    def term(self, kl_z_n: Tensor) -> Tensor:
        """Term of each loss, ``(r,)``; see `bie.training.schedules.KlSchedule.term`."""
        kl = kl_z_n.mean(-1)
        return self._weight * torch.where(self._has_capacity, (kl - self._capacity).abs(), kl)


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
    """

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
        self.noise = StackedNoise([trainer.noise.generator for trainer in self.trainers])
        scales = [trainer.penalty.scale for trainer in self.trainers]
        self._penalty().scale = torch.tensor(scales, dtype=torch.float64).to(self.critics.vector)

    def _penalty(self) -> Penalty:
        penalty = self.critics.bind()
        assert isinstance(penalty, Penalty)
        return penalty

    def begin(self, epoch: int, epochs: int) -> None:
        """Tell the penalties how far the training is."""
        penalty = self._penalty()
        penalty.epoch, penalty.progress = epoch, epoch / epochs

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Train the critics on the detached latent vectors of the minibatches; then the encoders' losses."""
        z_nd = self._penalty().sees(z_nd, mean_nd)
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
    def _judge(self, loss: Tensor, terms: Terms, z_nd: Tensor, before: Mapping[str, Tensor]) -> None:
        """Take critics back that have diverged."""
        healthy = torch.stack([loss, *terms.values()]).isfinite().all(0)
        bad = ~healthy & z_nd.square().sum((-2, -1)).isfinite()  # or else it is the model
        self.critics.go_back(bad, before)
        self.optimiser.slow_down(bad)
        self.halvings = self.halvings + bad

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
