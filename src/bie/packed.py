"""The method for a pack of experiments: their models train together, the rest is `bie.experiment`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bie.config import Model, RunConfig
from bie.data.cells import Cells
from bie.data.perturb import perturbed
from bie.experiment import Clock, Result, scored, split, streams_of, with_genes
from bie.methods.trained import Trained
from bie.training.checkpoint import Keeper
from bie.training.pack import Fitted, Member, fit_pack

NUMBER = torch.float32.itemsize
MATRICES = 40
"""Matrices of cells x genes that a minibatch of one run is reckoned to need at most, gradients included."""
COPIES = 8
"""Copies of a run's parameters: gradient, moments, what a step needs beside them."""


@dataclass(frozen=True)
class Packed:
    """One experiment of a pack: what `bie.experiment.experiment` is told of one alone."""

    config: RunConfig
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    keeper: Keeper = field(default_factory=Keeper)


@dataclass(frozen=True)
class Unscored:
    """A run of a pack whose training is over: `settle` it, then `score` it, or call it for both."""

    run: Packed
    cells: Cells
    embedder: Trained
    fitted: Fitted
    seconds: float

    def __call__(self) -> Result:
        """What `bie.experiment.experiment` gives of the run alone, or raises."""
        self.settle()
        return self.score()

    def settle(self) -> None:
        """Raise what has ended the training before its time, or leave its end to the run's keeper."""
        if self.fitted.error is not None:
            raise self.fitted.error
        self.run.keeper.epoch_ended(self.fitted.snapshot)  # since the last epoch somebody may have said stop

    def score(self) -> Result:
        """Embed and score the run. It touches nothing outside, so another process may do it."""
        clock = Clock({"fit": self.seconds})
        return scored(self.run.config, self.cells, self.embedder, self.fitted.history, clock)


def experiments(runs: Sequence[Packed], cells: Cells, device: str) -> list[Unscored]:
    """Train the models of several experiments together; each is the same as by `experiment`.

    Parameters
    ----------
    runs
        Experiments that go together; see `bie.execution.packs`.
    cells
        Theirs.
    device
        Where to train. Latent vectors and scores are made on the CPU.

    Returns
    -------
    list[Unscored]
        In the order of the runs, each to be scored once. Of the seconds of the training each gets an equal
        share.
    """
    clock = Clock()
    config = runs[0].config
    cells = with_genes(config, perturbed(cells, config.perturb))
    embedders = [_embedder(run) for run in runs]
    members = [_member(run, embedder, cells) for run, embedder in zip(runs, embedders, strict=True)]
    fitted = fit_pack(members, cells, device)
    clock.lap("fit")
    seconds = clock.seconds["fit"] / len(runs)
    each = zip(runs, embedders, fitted, strict=True)
    return [Unscored(run, cells, embedder, found, seconds) for run, embedder, found in each]


def room(run: Packed, cells: Cells, free: float) -> int:
    """How many such runs fit into so many bytes of a device, 1 at least, by a generous estimate."""
    cells = with_genes(run.config, cells)
    return max(1, int((free - bytes_of_cells(cells)) // bytes_of_run(run, cells)))


def bytes_of_cells(cells: Cells) -> int:
    """What all the counts take of a device, once for all runs."""
    return NUMBER * cells.n_cells * cells.n_genes


def bytes_of_run(run: Packed, cells: Cells) -> int:
    """What a run is reckoned to take beside the counts."""
    member = _member(run, _embedder(run), cells)
    modules = (member.model, member.penalty) if member.penalty else (member.model,)
    n_parameters = sum(parameter.numel() for module in modules for parameter in module.parameters())
    settings = run.config.model
    assert isinstance(settings, Model)
    width = cells.n_genes + (settings.n_layers + 1) * settings.n_hidden  # masks, of many steps at once
    activations = MATRICES * max(member.settings.batch_size, 128) * width
    return NUMBER * (COPIES * n_parameters + activations)


def _embedder(run: Packed) -> Trained:
    assert isinstance(run.config.model, Model)  # controls are not packed
    return Trained(run.config.model, run.config.penalty, run.config.train, run.keeper)


def _member(run: Packed, embedder: Trained, cells: Cells) -> Member:
    parts, streams = split(run.config, cells), streams_of(run.config)
    return embedder.member(cells, parts["train"], parts["test"], streams, run.on_epoch)
