"""Train many runs at once: the same experiments as one after the other, in one model with an axis of runs.

A run has its own rows, order of minibatches, noise, learning rate, KL schedule and penalty's scale; what
gives tensors their shapes is common to all (`bie.execution.packs` knows what goes together). No run feels
another: a sum of losses does not mix gradients, and a run that fails or is stopped leaves the pack, whose
other numbers stay what they are.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from bie.config import Train
from bie.data.cells import Cells
from bie.models.scvi import Scvi
from bie.penalties.base import Penalty
from bie.seeds import Streams
from bie.training.batches import CHUNK, Resident, minibatches
from bie.training.checkpoint import Keeper, Snapshots, State
from bie.training.critic import MOST_HALVINGS, diverged
from bie.training.fit import History, Trainer
from bie.training.graph import Replays, Table, replays
from bie.training.loss import Row, finite
from bie.training.pack_penalty import HALVINGS
from bie.training.pack_steps import PackTrainer


@dataclass(frozen=True)
class Member:
    """One run of a pack: what `bie.training.fit.fit` is told of a run alone."""

    model: Scvi
    penalty: Penalty | None
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    settings: Train
    streams: Streams
    on_epoch: Callable[[Row], None] = lambda row: None
    keeper: Keeper = field(default_factory=Keeper)


@dataclass(frozen=True)
class Fitted:
    """How a run's training ended.

    Attributes
    ----------
    history
        As `bie.training.fit.fit` returns it.
    snapshot
        The state at the end, for a keeper.
    error
        What ended the run before its time, such as a `RunFailed`; None if nothing did.
    """

    history: History
    snapshot: Callable[[], State]
    error: Exception | None


def fit_pack(
    members: Sequence[Member],
    cells: Cells,
    device: str = "cpu",
    recorded: Callable[[str], Replays | None] = replays,
) -> list[Fitted]:
    """Train the models, in place, and leave them in evaluation mode; see `bie.training.fit.fit`.

    Runs that go on from a state train together with those that are as far.

    Parameters
    ----------
    members
        The runs, whose models and penalties have equal shapes. They lie on the CPU, before and after.
    cells
        The data.
    device
        Where to train.
    recorded
        How steps are recorded on that device.

    Returns
    -------
    list[Fitted]
        In the order of the members.
    """
    data = Resident.of(cells, device)
    runs = [_Run(member, device) for member in members]
    for epoch in sorted({run.began for run in runs}):
        _train([run for run in runs if run.began == epoch], data, recorded(device))
    for run in runs:
        run.member.model.eval()
    return [Fitted(run.history, run.snapshots.take, run.error) for run in runs]


class _Run:
    """A member, with what its training changes besides the tensors of the pack."""

    def __init__(self, member: Member, device: str) -> None:
        self.member, self.history = member, list[Row]()
        self.order = member.streams.numpy("minibatch")
        self.trainer = Trainer(member.model, member.penalty, member.settings, member.streams, device)
        parts, noise = self.trainer.parts, self.trainer.generators
        self.snapshots = Snapshots(parts, noise, self.order, self.history)
        if state := member.keeper.start():
            self.snapshots.restore(state)
        self.began = len(self.history)
        self.error: Exception | None = None

    def minibatches(self) -> list[NDArray[np.int64]]:
        """Rows of each minibatch of the next epoch."""
        return list(minibatches(self.member.train_rows, self.member.settings.batch_size, self.order))

    def book(self, train: "_Epoch", test: "_Epoch", place: int, write: Callable[[int], None]) -> bool:
        """Take note of an epoch; False if it was the run's last, for a reason that is kept.

        Parameters
        ----------
        train, test
            Terms of all runs.
        place
            Of this run in the pack.
        write
            Brings the trainer of a place to where its run is.
        """

        def snapshot() -> State:
            write(place)
            return self.snapshots.take()

        try:
            self.history.append(self._row(train, test, place))
            self.member.on_epoch(self.history[-1])
            self.member.keeper.epoch_ended(snapshot)
        except Exception as error:  # the border of a run: the others go on
            error.add_note(traceback.format_exc())
            self.error = error.with_traceback(None)  # whose frames would keep the tensors of the pack
        return self.error is None

    def _row(self, train: "_Epoch", test: "_Epoch", place: int) -> Row:
        epoch, critic = len(self.history), self.trainer.penalty
        train.check(place, epoch, critic.penalty if critic else None)
        terms = train.mean(place)
        if critic:
            critic.halvings = int(train.last(place).get(HALVINGS, 0))
            terms.pop(HALVINGS, None)
        return self.trainer.row(epoch, terms, test.mean(place))


def _train(runs: list[_Run], data: Resident, replays: Replays | None) -> None:
    """Train runs that are equally far, to the end of each."""
    pack = PackTrainer([run.trainer for run in runs], data, replays)
    test_rn = data.rows([run.member.test_rows for run in runs])
    for epoch in range(runs[0].began, runs[0].member.settings.epochs):
        parts = [run.minibatches() for run in runs]
        sizes = [len(part) for part in parts[0]]
        steps = pack.epoch(data.rows([np.concatenate(part) for part in parts]), sizes, epoch)
        chunks = [len(part) for part in torch.split(test_rn[0], CHUNK)]
        train, test = _Epoch(steps, sizes), _Epoch(pack.evaluate(test_rn), chunks)
        left = [place for place, run in enumerate(runs) if run.book(train, test, place, pack.write)]
        if len(left) < len(runs):
            runs, test_rn = [runs[place] for place in left], test_rn[left]
            if not runs:
                return
            pack.keep(left)
    for place in range(len(runs)):
        pack.write(place)


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
        """Raise what a run alone raises at the first minibatch that goes wrong."""
        for terms in self.values[:, :, place] if self._suspicious(place) else ():
            row = dict(zip(self.names, terms.tolist(), strict=True))
            if penalty and row.pop(HALVINGS, 0) > MOST_HALVINGS:
                raise diverged(penalty, epoch)
            finite(row, epoch)

    def _suspicious(self, place: int) -> bool:
        most = self.last(place).get(HALVINGS, 0) > MOST_HALVINGS
        return most or not np.isfinite(self.values[:, :, place]).all()

    def mean(self, place: int) -> Row:
        """Mean of each term of a run over the cells."""
        weighted = self.sizes[:, None] * self.values[:, :, place]
        return dict(zip(self.names, (weighted.sum(0) / self.sizes.sum()).tolist(), strict=True))

    def last(self, place: int) -> Row:
        """Terms of a run's last minibatch."""
        return dict(zip(self.names, self.values[-1, :, place].tolist(), strict=True))
