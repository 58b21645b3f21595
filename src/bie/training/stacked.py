"""The engine of one or many runs in one model with an axis of runs, by torch, on a CPU or a GPU.

Of a pack nothing in a step waits for the device or depends on what is in the data, and all that changes from
one to the next lies in memory that stays where it is, so that a step can be recorded and replayed
(`bie.training.graph`). One run alone on a CPU has no axis of runs: model and penalty are its own, and may
look at numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.models.noise import Noise, StackedNoise
from bie.training.batches import CHUNK, Mapped, Resident
from bie.training.critic import critics_of
from bie.training.engine import Engine, Table
from bie.training.gradients import LatentGrad, balanced, summed
from bie.training.graph import Replays, Step, Terms, eager
from bie.training.learner import Learner, Solo
from bie.training.loss import mean_parts, model_loss, total
from bie.training.run import EVALUATION, Progress
from bie.training.schedules import KlTerm
from bie.training.stacked_learner import Stack


class Stacked(Engine):
    """Runs of equal shapes as one; see `Engine`.

    Parameters
    ----------
    runs
        Their noise goes on being drawn from. In a pack their own models and penalties are brought up to
        date by `run_state` alone.
    data
        All cells, where the training is to be.
    replays
        Records steps and replays them from then on; None: steps are eager.
    """

    def __init__(self, runs: Sequence[Progress], data: Resident | Mapped, replays: Replays | None) -> None:
        self.runs, self.data, self.replays = list(runs), data, replays
        self.alone = replays is None and len(runs) == 1
        starts = [run.model_start() for run in runs]
        self.model: Learner = Solo(starts[0]) if self.alone else Stack(starts, data.device)
        self.critics = critics_of(runs, data.device, self.alone)
        self._follow_runs()

    def _follow_runs(self) -> None:
        """What depends on which runs there are: their KL terms, their streams of noise."""
        schedules = [run.schedule for run in self.runs]
        self.kl = KlTerm(schedules, self.model.shape, self.model.leaves[0])
        names = list(self.runs[0].noise)
        self.streams = [[run.noise[name] for run in self.runs] for name in names]

    def epoch(self, rows_rn: NDArray[np.int64], sizes: Sequence[int], epoch: int) -> Table:
        """See `Engine`; the terms are still on the device."""
        self.model.bind().train()
        self.kl.begin(epoch)
        if self.critics:
            self.critics.begin(epoch)
        return self._table("training", self.step, rows_rn, sizes, self.streams)

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
        terms = self.model.bind()(x_ng, batch_n, noises[0], label_n)
        penalty, latent_grads, columns = None, list[LatentGrad](), dict[str, Tensor]()
        if self.critics:
            found = self.critics.step(terms.z_nd.detach(), terms.mean_nd.detach(), batch_n, noises[1])
            penalty, columns = found[:2], self.critics.history_columns()
            pairs = zip((terms.z_nd, terms.mean_nd), found[2:], strict=True)
            latent_grads = [(latent_nd, grad_nd) for latent_nd, grad_nd in pairs if grad_nd is not None]
        parts, kl = mean_parts(terms), self.kl.of(terms.kl_z_n)
        loss, preference = model_loss(parts, kl), self.critics.penalty.preference if self.critics else None
        if preference and penalty:
            gradients, weights = balanced(self.model, preference, loss, penalty[0], latent_grads)
            columns |= weights
        else:
            gradients = summed(self.model, loss, latent_grads)
        self.model.step(gradients)
        return {name: part.detach() for name, part in {**total(parts, kl, penalty), **columns}.items()}

    @torch.inference_mode()
    def evaluate(self, rows_rn: NDArray[np.int64]) -> Table:
        """See `Engine`."""
        self.model.bind().eval()
        names = EVALUATION[: len(self.streams)]
        streams = [[run.run.streams.torch(name, self.data.device) for run in self.runs] for name in names]
        sizes = [len(chunk) for chunk in torch.split(torch.from_numpy(rows_rn[0]), CHUNK)]
        return self._table("evaluation", self._evaluated, rows_rn, sizes, streams)

    def _evaluated(self, rows_rn: Tensor, noises: Sequence[Noise]) -> Terms:
        x_ng, batch_n, label_n = self.data.take(rows_rn)
        terms = self.model.bind()(x_ng, batch_n, noises[0], label_n)
        penalty = None
        if self.critics:
            penalty = self.critics.evaluate(terms.z_nd, terms.mean_nd, batch_n, noises[1])
        return total(mean_parts(terms), self.kl.of(terms.kl_z_n), penalty)

    def _table(
        self,
        name: str,
        step: Step,
        rows_rn: NDArray[np.int64],
        sizes: Sequence[int],
        streams: Sequence[Sequence[torch.Generator]],
    ) -> Table:
        """Steps of one kind, replayed or eager."""
        rows = torch.from_numpy(rows_rn[0] if self.alone else rows_rn).to(self.data.device)
        if self.replays:
            state = self._state if name == "training" else []
            return self.replays.table(name, step, state, rows, sizes, streams)
        noises = [Noise(*each) if self.alone else StackedNoise(each) for each in streams]
        names, values = eager(step, rows, sizes, noises)
        return Table(names, values.view(*values.shape[:2], -1))

    @property
    def _state(self) -> list[Tensor]:
        """All that a training step changes."""
        return self.model.state + (self.critics.state if self.critics else [])

    def keep(self, places: Sequence[int]) -> None:
        """See `Engine`."""
        assert isinstance(self.model, Stack)
        index = torch.tensor(places).to(self.data.device)
        self.runs = [self.runs[place] for place in places]
        self.model.keep(places, index)
        if self.critics:
            self.critics.keep(places, index)
        if self.replays:
            self.replays.forget()
        self._follow_runs()

    def run_state(self, place: int) -> dict[str, Any]:
        """See `Engine`."""
        model, optimiser = self.model.run_state(place)
        penalty = {"penalty": self.critics.run_state(place)} if self.critics else {}
        return {"model": model, "optimiser": optimiser, **penalty}
