"""The steps of many runs as one: what `bie.training.fit` does, for all of a pack.

Nothing in a step waits for the device or depends on what is in the data, and all that changes from one to
the next lies in memory that stays where it is, so that a step can be recorded and replayed
(`bie.training.graph`): what a run alone decides by looking at a number, these decide by masks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bie.models.noise import Noise, StackedNoise
from bie.training.batches import CHUNK, Resident
from bie.training.fit import EVALUATION, Trainer
from bie.training.graph import Replays, Table, Terms, as_they_come
from bie.training.loss import total
from bie.training.optimiser import moments, set_moments
from bie.training.pack_penalty import PackPenalty
from bie.training.schedules import KlSchedule
from bie.training.stack import Stack, StackedAdam, fill


class PackTrainer:
    """Trainers of equal shapes as one.

    Parameters
    ----------
    trainers
        One of each run. Their noise goes on being drawn from; their model, optimiser and critic stand still
        until `write`.
    data
        All cells, where the training is to be.
    replays
        Records steps and takes them from then on; None: they are taken as they come.
    """

    def __init__(self, trainers: Sequence[Trainer], data: Resident, replays: Replays | None = None) -> None:
        self.trainers, self.data, self.device = list(trainers), data, data.x_ng.device
        self.replays = replays
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
        self.kl = PackKl([trainer.schedule for trainer in self.trainers], self.model.vector)
        self.streams = [[trainer.noise.generator for trainer in self.trainers]]
        if self.penalty:
            self.streams.append([trainer.noise.generator for trainer in self.penalty.trainers])

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes."""
        of_model = [self.model.vector, *self.model.buffers.values(), *self.optimiser.state]
        return of_model + (self.penalty.state if self.penalty else [])

    def epoch(self, rows_rn: Tensor, sizes: Sequence[int], epoch: int) -> Table:
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
        Table
            Terms of the loss of each minibatch, nats per cell, still on the device. With a critic that
            learns, ``critic_halvings`` among them.
        """
        self.model.module.train()
        self.kl.begin(epoch)
        if self.penalty:
            self.penalty.begin(epoch, self.trainers[0].settings.epochs)
        if self.replays:
            return self.replays.table("training", self.step, self.state, rows_rn, sizes, self.streams)
        return as_they_come(self.step, rows_rn, sizes, [StackedNoise(each) for each in self.streams])

    def step(self, rows_rn: Tensor, noises: Sequence[Noise]) -> Terms:
        """Take the critic's steps, then one of the model; terms of the loss before it.

        Parameters
        ----------
        rows_rn
            A minibatch of each run.
        noises
            Streams of the model and, where there is one, of the penalty.
        """
        x_ng, batch_n, label_n = self.data.take(rows_rn)
        if self.penalty:
            self.penalty.noise = noises[1]
        terms = self.model.bind()(x_ng, batch_n, noises[0], label_n)
        loss, parts = total(terms, self.kl.term(terms.kl_z_n), self.penalty, batch_n)
        (gradient,) = torch.autograd.grad(loss.sum(), self.model.vector)  # of a run's loss to that run alone
        self.optimiser.step(self.model.vector, gradient)
        facts = self.penalty.facts() if self.penalty else {}
        return {name: part.detach() for name, part in {**parts, **facts}.items()}

    @torch.inference_mode()
    def evaluate(self, rows_rn: Tensor) -> Table:
        """Terms of the loss on some cells of each run; see `bie.training.fit.Trainer.evaluate`.

        Weights are those of the epoch that `epoch` was called for last.
        """
        self.model.bind().eval()
        names = EVALUATION[: len(self.streams)]
        streams = [[each.streams.torch(name, self.device) for each in self.trainers] for name in names]
        sizes = [len(chunk) for chunk in torch.split(rows_rn[0], CHUNK)]
        if self.replays:
            return self.replays.table("evaluation", self._evaluated, [], rows_rn, sizes, streams)
        return as_they_come(self._evaluated, rows_rn, sizes, [StackedNoise(each) for each in streams])

    def _evaluated(self, rows_rn: Tensor, noises: Sequence[Noise]) -> Terms:
        x_ng, batch_n, label_n = self.data.take(rows_rn)
        terms = self.model.bind()(x_ng, batch_n, noises[0], label_n)
        judge = self.penalty.judge(noises[1]) if self.penalty else None
        return total(terms, self.kl.term(terms.kl_z_n), judge, batch_n)[1]

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the runs only."""
        index = torch.tensor(places).to(self.device)
        self.trainers = [self.trainers[place] for place in places]
        self.model.keep(index)
        self.optimiser.keep(index)
        if self.penalty:
            self.penalty.keep(places, index)
        if self.replays:
            self.replays.forget()
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
        self._schedules = schedules
        modes = [schedule.settings.mode == "capacity" for schedule in schedules]
        self._has_capacity = torch.tensor(modes).to(like.device)
        self._weight: Tensor
        self._capacity: Tensor
        self._weight, self._capacity = torch.zeros(2, len(schedules), dtype=like.dtype, device=like.device)

    def begin(self, epoch: int) -> None:
        """Bring the numbers of an epoch, counted from 0, to the device."""
        fill(self._weight, [schedule.weight(epoch) for schedule in self._schedules])
        fill(self._capacity, [schedule.capacity(epoch) for schedule in self._schedules])

    def term(self, kl_z_n: Tensor) -> Tensor:
        """Term of each loss, ``(r,)``; see `bie.training.schedules.KlSchedule.term`."""
        kl = kl_z_n.mean(-1)
        return self._weight * torch.where(self._has_capacity, (kl - self._capacity).abs(), kl)
