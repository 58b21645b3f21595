"""One run as training sees it: what is trained on what, how far it is, and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bie.config import Train
from bie.models.scvi import Scvi
from bie.penalties.base import Penalty
from bie.seeds import Streams
from bie.training.batches import minibatches
from bie.training.checkpoint import CheckpointHook, State
from bie.training.learner import Start
from bie.training.loss import Row
from bie.training.optimiser import Rule
from bie.training.schedules import KlSchedule

History = list[Row]

HALVINGS = "critic_halvings"
"""Term that is no part of a loss: how often the critic has gone back so far."""

EVALUATION = ("evaluation", "penalty evaluation")
"""Streams of model and penalty for cells that nothing learns from; each evaluation starts them anew."""


@dataclass(frozen=True)
class TrainingRun:
    """What is to be trained; models and penalties lie on the CPU, before and after.

    Attributes
    ----------
    model, penalty
        What is trained; `penalty` None for plain scVI.
    train_rows, test_rows
        Rows of the cells that train, and of those that are evaluated after epochs.
    settings
        Section ``train`` of the configuration.
    streams
        Of the run; ``minibatch``, ``noise``, ``penalty`` and those of `EVALUATION` are read.
    on_epoch
        Called with each row of the history as it is made.
    hook
        Hands out the state to start from, and is offered the state after each epoch.
    """

    model: Scvi
    penalty: Penalty | None
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    settings: Train
    streams: Streams
    on_epoch: Callable[[Row], None] = lambda row: None
    hook: CheckpointHook = field(default_factory=CheckpointHook)


@dataclass(frozen=True)
class Fitted:
    """How a run's training ended.

    Attributes
    ----------
    history
        See `bie.training.fit.fit`.
    snapshot
        The state at the end, for a hook; None where nothing trains.
    error
        What ended the run before its time, such as a `RunFailed`; None if nothing did.
    """

    history: History
    snapshot: Callable[[], State] | None = None
    error: Exception | None = None

    def finished(self) -> History:
        """The history, unless an error has ended the run: that is raised."""
        if self.error is not None:
            raise self.error
        return self.history


class Progress:
    """A run on its way: its history, its streams, and the state that its engine begins with.

    Parameters
    ----------
    run
        Continued from what its hook hands out.
    device
        Where its noise is drawn.

    Attributes
    ----------
    trained
        State of model, optimiser and penalty, as `Engine.run_state` gave it last; empty at a beginning.
    began
        Epochs that were over then.
    error
        What has ended the run before its time.
    """

    def __init__(self, run: TrainingRun, device: str = "cpu") -> None:
        self.run, self.history = run, History()
        self.schedule = KlSchedule(run.settings.kl)
        self.order = run.streams.numpy("minibatch")
        names = ("noise", "penalty") if run.penalty else ("noise",)
        self.noise = {name: run.streams.torch(name, device) for name in names}
        self.trained: dict[str, Any] = {}
        if state := run.hook.start():
            self._restore(state)
        self.began = len(self.history)
        self.error: Exception | None = None

    def minibatches(self) -> list[NDArray[np.int64]]:
        """Rows of each minibatch of the next epoch."""
        return list(minibatches(self.run.train_rows, self.run.settings.batch_size, self.order))

    def row(self, train: Row, test: Row) -> Row:
        """The next row of the history, from terms of the training cells, and perhaps of the test cells."""
        epoch = len(self.history)
        row = {"epoch": epoch + 1, "kl_weight": self.schedule.weight(epoch)}
        if HALVINGS in train:
            row[HALVINGS] = int(train.pop(HALVINGS))
        row |= {f"train_{name}": value for name, value in train.items()}
        return row | {f"test_{name}": value for name, value in test.items()}

    def model_start(self) -> Start:
        """What the model's training begins with."""
        settings = self.run.settings
        rule = Rule(settings.lr, settings.adam_eps, settings.weight_decay)
        return Start(self.run.model, rule, self.trained.get("optimiser"))

    def critic_start(self) -> tuple[Start, int]:
        """What the critic's training begins with, and how often it has diverged before."""
        penalty, known = self.run.penalty, self.trained.get("penalty", {})
        assert penalty
        halvings = known.get("halvings", 0)
        rule = Rule(penalty.critic_lr / 2**halvings) if penalty.critic_steps else None
        return Start(penalty, rule, known.get("optimiser")), halvings

    def snapshot(self) -> State:
        """All that the next epoch depends on; `trained` is to be that of now."""
        return {
            "trained": self.trained,
            "noise": {name: generator.get_state() for name, generator in self.noise.items()},
            "order": self.order.bit_generator.state,
            "history": list(self.history),
        }

    def _restore(self, state: State) -> None:
        self.trained = state["trained"]
        self.run.model.load_state_dict(self.trained["model"])
        if self.run.penalty:
            self.run.penalty.load_state_dict(self.trained["penalty"]["penalty"])
        for name, generator in self.noise.items():
            generator.set_state(state["noise"][name])
        self.order.bit_generator.state = state["order"]
        self.history[:] = state["history"]
