"""The training loop, and what is read off a trained model.

There is one loop for every model. What differs between models is the penalty, an object with a critic loss
and an encoder loss of which this module knows no more than that.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from bie.config import Train
from bie.data.cells import Cells
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.penalties.base import Penalty
from bie.seeds import Streams
from bie.training.batches import Minibatch, chunks, minibatches
from bie.training.checkpoint import Keeper, Snapshots, Stateful
from bie.training.critic import Judge, PenaltyTrainer
from bie.training.forward import called
from bie.training.loss import Row, finite, mean_over, mean_parts, numbers, total
from bie.training.optimiser import adam
from bie.training.schedules import KlSchedule

History = list[Row]

EVALUATION = ("evaluation", "penalty evaluation")
"""Streams of model and penalty for cells that nothing learns from; each evaluation starts them anew."""


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
        Of the run; ``minibatch``, ``noise``, ``penalty`` and those of `EVALUATION` are read here.
    on_epoch
        Called with each row of the history as it is made.
    keeper
        Hands out the state to start from, and is offered the state after each epoch.

    Returns
    -------
    History
        A row for each epoch: ``epoch`` (from 1), ``kl_weight``, ``critic_halvings`` (of the learning rate so
        far; where there is a critic that learns), and, in nats per cell, lower better:
        ``{train,test}_{loss,elbo,reconstruction,kl_z,kl_library}`` and ``{train,test}_`` with each term of
        the penalty, means over minibatches weighted by size: of training cells as they were trained, of
        test cells by `Trainer.evaluate` after the epoch.

    Raises
    ------
    RunFailed
        Cause ``nan``: a term of the training is not finite; the message names the first one and the epoch.
        Terms of the test cells are looked on: they may be what they want. Or the critic diverged again and
        again.
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
        test = trainer.evaluate(cells, test_rows, epoch)
        row = trainer.row(epoch, train, test)
        history.append(row)
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
        return mean_over((len(batch.x_ng), self.step(batch, epoch)) for batch in batches)

    def step(self, batch: Minibatch, epoch: int) -> Row:
        """Take the critic's steps, then one of the model; terms of the loss before it, nats per cell."""
        terms = self.forward.terms(batch, self.noise)
        loss, parts = total(terms, self.schedule.term(terms.kl_z_n, epoch), self.penalty, batch.batch_n)
        row = finite(numbers(parts), epoch)
        self.forward.descend(loss, self.schedule.slope(row["kl_z"], epoch))
        return row

    @torch.inference_mode()
    def evaluate(self, cells: Cells, rows: NDArray[np.int64], epoch: int) -> Row:
        """Mean of each term of the loss over some cells, in evaluation mode; nothing learns.

        Weights are those of the epoch, counted from 0. Draws are the same at each call.
        """
        self.model.eval()
        noise, of_penalty = (Noise(self.streams.torch(name)) for name in EVALUATION)
        judge = Judge(self.penalty.penalty, of_penalty) if self.penalty else None

        def terms_of(batch: Minibatch) -> Row:
            terms = self.forward.evaluate(batch, noise)
            return numbers(total(terms, self.schedule.term(terms.kl_z_n, epoch), judge, batch.batch_n)[1])

        batches = (self.forward.take(cells, part) for part in chunks(rows))
        return mean_over((len(batch.x_ng), terms_of(batch)) for batch in batches)


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
def loss_terms(model: Scvi, cells: Cells, rows: NDArray[np.int64], streams: Streams) -> Row:
    """Parts of the loss on some cells in evaluation mode, KL at full weight.

    Draws are the same at each call, so that two calls differ by the model only.

    Returns
    -------
    Row
        ``elbo`` (negative, the sum of the others), ``reconstruction``, ``kl_z``, ``kl_library``: nats per
        cell, lower better. The model is left in evaluation mode.
    """
    model.eval()
    noise, forward = Noise(streams.torch(EVALUATION[0])), called(model)
    batches = (forward.take(cells, part) for part in chunks(rows))
    parts = ((len(batch.x_ng), mean_parts(forward.evaluate(batch, noise))) for batch in batches)
    return mean_over((n, numbers(row)) for n, row in parts)
