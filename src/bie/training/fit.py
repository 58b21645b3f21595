"""The training loop, and what is read off a trained model.

There is one loop for every model. What differs between models is the penalty, an object with a critic loss
and an encoder loss of which this module knows no more than that.
"""

import math
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.config import Train
from bie.data.cells import Cells
from bie.errors import RunFailed
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms
from bie.penalties.base import Penalty
from bie.seeds import Streams
from bie.training.batches import Minibatch, chunks, minibatches
from bie.training.checkpoint import Keeper, Snapshots, Stateful
from bie.training.critic import PenaltyTrainer
from bie.training.forward import Forward, called
from bie.training.optimiser import adam
from bie.training.schedules import KlSchedule

Row = dict[str, float]
History = list[Row]


def fit(
    model: Scvi,
    penalty: Penalty | None,
    cells: Cells,
    train_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    settings: Train,
    streams: Streams,
    on_epoch: Callable[[Row], None] = lambda row: None,
    keeper: Keeper | None = None,
) -> History:
    """Train the model, in place, and leave it in evaluation mode.

    Each minibatch minimises ``mean(reconstruction + KL of library) + KL term + penalty``, after the
    penalty's critic has taken its own steps on the same, detached latent vectors.

    Parameters
    ----------
    model, penalty
        What is trained; `penalty` None for plain scVI.
    cells, train_rows, test_rows
        The data, the rows that train, the rows that are evaluated after every epoch.
    settings
        Section ``train`` of the configuration.
    streams
        Of the run; ``minibatch``, ``noise``, ``penalty`` and ``evaluation`` are read here.
    on_epoch
        Called with each row of the history as it is made.
    keeper
        Hands out the state to start from, and is offered the state after each epoch.

    Returns
    -------
    History
        A row for each epoch: ``epoch`` (from 1), ``kl_weight``, ``critic_halvings`` (of the learning rate so
        far; where there is a critic that learns), and, in nats per cell, lower better:
        ``train_{loss,elbo,reconstruction,kl_z,kl_library}``, ``train_`` and each term of the penalty (means
        over the minibatches as they were trained, weighted by size), ``test_{elbo,...}`` as `loss_terms`.

    Raises
    ------
    RunFailed
        Cause ``nan``: a term is not finite; the message names the first one and the epoch. Or the critic
        diverged again and again.
    """
    trainer, keeper = Trainer(model, penalty, settings, streams), keeper or Keeper()
    order = streams.numpy("minibatch")
    history: History = []
    snapshots = Snapshots(trainer.parts, trainer.generators, order, history)
    if state := keeper.start():
        snapshots.restore(state)
    for epoch in range(len(history), settings.epochs):
        parts = minibatches(train_rows, settings.batch_size, order)
        train = trainer.epoch((trainer.forward.take(cells, rows) for rows in parts), epoch)
        test = loss_terms(model, cells, test_rows, streams, trainer.forward)
        row = trainer.row(epoch, train, test)
        history.append(finite(row, epoch))
        on_epoch(row)
        keeper.epoch_ended(snapshots.take)
    model.eval()
    return history


class Trainer:
    """The optimisers of a model and its critic, and the step they take together.

    Parameters
    ----------
    model, penalty, settings, streams
        As for `fit`.
    device
        Where the noise is drawn.
    """

    def __init__(
        self,
        model: Scvi,
        penalty: Penalty | None,
        settings: Train,
        streams: Streams,
        device: str = "cpu",
    ) -> None:
        self.model, self.settings, self.streams = model, settings, streams
        self.schedule = KlSchedule(settings.kl)
        self.noise, penalty_noise = (Noise(streams.torch(name, device)) for name in ("noise", "penalty"))
        self.optimiser = adam(model.parameters(), settings.lr, settings.adam_eps, settings.weight_decay)
        self.forward = called(model, self.optimiser)
        self.penalty = PenaltyTrainer(penalty, settings.epochs, penalty_noise) if penalty else None

    @property
    def parts(self) -> dict[str, Stateful]:
        """All that a step changes, the streams of noise apart."""
        parts: dict[str, Stateful] = {"model": self.model, "optimiser": self.optimiser}
        return parts | ({"penalty": self.penalty} if self.penalty else {})

    @property
    def generators(self) -> dict[str, torch.Generator]:
        """The streams of noise."""
        penalty = {"penalty": self.penalty.noise.generator} if self.penalty else {}
        return {"noise": self.noise.generator, **penalty}

    def row(self, epoch: int, train: Row, test: Row) -> Row:
        """Row of the history for the epoch counted from 0, from the terms of both parts of the cells."""
        row = {"epoch": epoch + 1, "kl_weight": self.schedule.weight(epoch)}
        row |= self.penalty.facts() if self.penalty else {}
        row |= {f"train_{name}": value for name, value in train.items()}
        return row | {f"test_{name}": value for name, value in test.items()}

    def epoch(self, batches: Iterable[Minibatch], epoch: int) -> Row:
        """Take a step for each minibatch; mean of each term over the cells."""
        self.model.train()
        if self.penalty:
            self.penalty.begin(epoch)
        return _mean((len(batch.x_ng), self.step(batch, epoch)) for batch in batches)

    def step(self, batch: Minibatch, epoch: int) -> Row:
        """Take the critic's steps, then one of the model; terms of the loss before it, nats per cell."""
        terms = self.forward.terms(batch, self.noise)
        loss, parts = total(terms, self.schedule.term(terms.kl_z_n, epoch), self.penalty, batch.batch_n)
        row = finite({name: part.item() for name, part in parts.items()}, epoch)
        self.forward.descend(loss, self.schedule.slope(row["kl_z"], epoch))
        return row


@torch.inference_mode()
def embed(model: Scvi, cells: Cells, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Embedding of some cells: posterior means in evaluation mode.

    Returns
    -------
    NDArray
        ``z_nd``, float32, in the order of `rows`. The model is left in evaluation mode.
    """
    model.eval()
    forward = called(model)
    means = (forward.posterior_mean(forward.take(cells, part)).numpy() for part in chunks(rows))
    return np.concatenate(list(means))


@torch.inference_mode()
def loss_terms(
    model: Scvi, cells: Cells, rows: NDArray[np.int64], streams: Streams, forward: Forward | None = None
) -> Row:
    """Parts of the loss on some cells in evaluation mode, KL at full weight.

    The stream ``evaluation`` starts anew at each call, so that two calls differ by the model only. `forward`
    is the model as it is called, where that has been made already.

    Returns
    -------
    Row
        ``elbo`` (negative, the sum of the others), ``reconstruction``, ``kl_z``, ``kl_library``: nats per
        cell, lower better. The model is left in evaluation mode.
    """
    model.eval()
    noise, forward = Noise(streams.torch("evaluation")), forward or called(model)
    batches = (forward.take(cells, part) for part in chunks(rows))
    parts = ((len(batch.x_ng), mean_parts(forward.evaluate(batch, noise))) for batch in batches)
    return _mean((n, {name: part.item() for name, part in row.items()}) for n, row in parts)


class Term(Protocol):
    """What a penalty is to a step: its critic learns, then it gives its loss and terms for the history."""

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `bie.training.critic.PenaltyTrainer.term`."""


def total(
    terms: Terms, kl: Tensor, penalty: Term | None, batch_n: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a minibatch, and what the history says of it, ``loss`` included.

    Parameters
    ----------
    terms
        Of the model.
    kl
        KL term of the loss, nats per cell.
    penalty, batch_n
        Asked for its part, with the latent vectors of `terms` and these batch codes.
    """
    parts = mean_parts(terms)
    loss = parts["reconstruction"] + parts["kl_library"] + kl
    if penalty:
        penalty_loss, penalty_parts = penalty.term(terms.z_nd, terms.mean_nd, batch_n)
        loss, parts = loss + penalty_loss, parts | penalty_parts
    return loss, parts | {"loss": loss}


def mean_parts(terms: Terms) -> dict[str, Tensor]:
    """Mean of each part of the loss over the cells of a minibatch, ``(...)``."""
    reconstruction, kl_z, kl_library = (
        part_n.mean(-1) for part_n in (terms.reconstruction_n, terms.kl_z_n, terms.kl_library_n)
    )
    elbo = reconstruction + kl_z + kl_library
    return {"reconstruction": reconstruction, "kl_z": kl_z, "kl_library": kl_library, "elbo": elbo}


def _mean(rows: Iterable[tuple[int, Row]]) -> Row:
    """Mean of each term, where a row holds the means of so many cells."""
    totals: Row = {}
    n_cells = 0
    for n, row in rows:
        n_cells += n
        totals = {name: totals.get(name, 0.0) + n * value for name, value in row.items()}
    return {name: total / n_cells for name, total in totals.items()}


def finite(row: Row, epoch: int) -> Row:
    """Hand the row on if all its numbers are finite, else end the run."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise RunFailed("nan", f"{name} is {value} in epoch {epoch + 1}; a smaller train.lr may help")
    return row
