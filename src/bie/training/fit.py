"""The training loop: one for every model, one run or many, whatever trains them.

What differs between models is the penalty, an object with a critic loss and an encoder loss; what differs
between machines is the engine (`bie.training.engine`). This module knows no more of either.

Many runs train as one after the other would. A run has its own rows, order of minibatches, noise, learning
rate, KL schedule and penalty's scale; what gives tensors their shapes is common to all (`bie.execution.packs`
knows what goes together). No run feels another: a sum of losses does not mix gradients, and a run that fails
or is stopped leaves, while all other numbers stay what they are.
"""

import traceback
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bie.data.cells import Cells
from bie.penalties.base import Penalty
from bie.training.batches import CHUNK, sizes_of
from bie.training.checkpoint import State
from bie.training.critic import MOST_HALVINGS, diverged
from bie.training.engine import Build, Table, engines
from bie.training.loss import Row, finite
from bie.training.run import HALVINGS, Fitted, Progress, TrainingRun


def fit(
    runs: Sequence[TrainingRun], cells: Cells, device: str = "cpu", build: Build | None = None
) -> list[Fitted]:
    """Train the models, in place and on one thread, and leave them in evaluation mode.

    Each minibatch minimises ``mean(reconstruction + KL of library) + KL term + penalty``, after the
    penalty's critic has taken its own steps on the same, detached latent vectors. Runs that go on from a
    state train together with those that are as far.

    Parameters
    ----------
    runs
        Whose models and penalties have equal shapes.
    cells
        The data.
    device
        Where to train.
    build
        Makes the engines; None: those of the device.

    Returns
    -------
    list[Fitted]
        In the order of the runs. A history has a row for each epoch: ``epoch`` (from 1), ``kl_weight``,
        ``critic_halvings`` (of the learning rate so far; where there is a critic that learns), and, in nats
        per cell, lower better: ``{train,test}_{loss,elbo,reconstruction,kl_z,kl_library}`` and
        ``{train,test}_`` with each term of the penalty, means over minibatches weighted by size: of training
        cells as they were trained, of test cells after the epoch, if it is one of those after which they are
        looked at (`bie.config.Train.looks_at_test_cells`).

        A run ends with a `RunFailed` of cause ``nan`` if a term of its training is not finite; the message
        names the first one and the epoch. Terms of test cells are looked on: they may be what they want. Or
        if its critic diverged again and again.
    """
    torch.set_num_threads(1)  # again: numba, by which genes are chosen, gives torch as many as it has itself
    under_way, build = [Progress(run, device) for run in runs], build or engines(cells, device)
    for epoch in sorted({run.began for run in under_way}):
        _Pack([run for run in under_way if run.began == epoch], build).train()
    for run in runs:
        run.model.eval()
    return [Fitted(run.history, run.snapshot, run.error) for run in under_way]


class _Pack:
    """Runs that are equally far, and the engine that trains them."""

    def __init__(self, runs: list[Progress], build: Build) -> None:
        self.runs, self.engine = runs, build(runs)

    def train(self) -> None:
        """Train to the end of each."""
        test_rn = np.stack([run.run.test_rows for run in self.runs])
        settings = self.runs[0].run.settings
        for epoch in range(self.runs[0].began, settings.epochs):
            minibatches = [run.minibatches() for run in self.runs]
            sizes = [len(rows) for rows in minibatches[0]]
            rows_rn = np.stack([np.concatenate(of_run) for of_run in minibatches])
            train = _Epoch(self.engine.epoch(rows_rn, sizes, epoch), sizes)
            test = self._tested(test_rn) if settings.looks_at_test_cells(epoch) else None
            left = [place for place in range(len(self.runs)) if self._book(place, train, test)]
            if len(left) < len(self.runs):
                self.runs, test_rn = [self.runs[place] for place in left], test_rn[left]
                if not left:
                    return
                self.engine.keep(left)
        for place, run in enumerate(self.runs):
            run.trained = self.engine.run_state(place)

    def _tested(self, test_rn: NDArray[np.int64]) -> "_Epoch":
        return _Epoch(self.engine.evaluate(test_rn), sizes_of(test_rn.shape[1], CHUNK))

    def _book(self, place: int, train: "_Epoch", test: "_Epoch | None") -> bool:
        """Take note of a run's epoch; False if it was the last, for a reason that is kept."""
        run = self.runs[place]

        def snapshot() -> State:
            run.trained = self.engine.run_state(place)
            return run.snapshot()

        try:
            train.check(place, len(run.history), run.run.penalty)
            run.history.append(run.row(train.mean(place), test.mean(place) if test else {}))
            run.run.on_epoch(run.history[-1])
            run.run.hook.epoch_ended(snapshot)
        except Exception as error:  # the border of a run: the others go on
            error.add_note(traceback.format_exc())
            run.error = error.with_traceback(None)  # whose frames would keep the tensors of the pack
        return run.error is None


class _Epoch:
    """Terms of all minibatches of an epoch, brought from the device at once.

    Parameters
    ----------
    table
        Terms of each.
    sizes
        Cells of each.
    """

    def __init__(self, table: Table, sizes: Sequence[int]) -> None:
        self.names, self.sizes = table.names, np.asarray(sizes)
        self.values = table.values.cpu().double().numpy()  # minibatch, term, run

    def check(self, place: int, epoch: int, penalty: Penalty | None) -> None:
        """Raise what the first minibatch that went wrong says of it."""
        for terms in self.values[:, :, place] if self._suspicious(place) else ():
            row = dict(zip(self.names, terms.tolist(), strict=True))
            if penalty and row.pop(HALVINGS, 0) > MOST_HALVINGS:
                raise diverged(penalty, epoch)
            finite(row, epoch)

    def _suspicious(self, place: int) -> bool:
        most = self._last(place).get(HALVINGS, 0) > MOST_HALVINGS
        return most or not np.isfinite(self.values[:, :, place]).all()

    def mean(self, place: int) -> Row:
        """Mean of each term of a run over the cells; of what is counted, the last number."""
        weighted = self.sizes[:, None] * self.values[:, :, place]
        row = dict(zip(self.names, (weighted.sum(0) / self.sizes.sum()).tolist(), strict=True))
        return row | ({HALVINGS: self._last(place)[HALVINGS]} if HALVINGS in row else {})

    def _last(self, place: int) -> Row:
        """Terms of a run's last minibatch."""
        return dict(zip(self.names, self.values[-1, :, place].tolist(), strict=True))
