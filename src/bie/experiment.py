"""The method, top to bottom: cells -> perturb -> split -> genes -> train -> embed -> score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bie.config import RunConfig, Source
from bie.data.cells import Cells
from bie.data.hvg import most_variable
from bie.data.perturb import perturbed
from bie.data.split import monte_carlo_split
from bie.methods import build_embedder, fit_all
from bie.methods.base import Embedder
from bie.result import Clock, Result, scored
from bie.seeds import Streams
from bie.training.checkpoint import Keeper
from bie.training.run import Fitted


@dataclass(frozen=True)
class Experiment:
    """One experiment, and who hears of it.

    Attributes
    ----------
    config
        What to run.
    on_epoch
        Called with each row of the history as it is made.
    keeper
        Lets the training go on from an earlier one's state, and leaves its own.
    """

    config: RunConfig
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    keeper: Keeper = field(default_factory=Keeper)


@dataclass(frozen=True)
class Unscored:
    """An experiment whose training is over: `settle` it, then `score` it, or call it for both."""

    run: Experiment
    cells: Cells
    embedder: Embedder
    fitted: Fitted
    seconds: float

    def __call__(self) -> Result:
        """What was found.

        Raises
        ------
        RunFailed
            Training diverged.
        """
        self.settle()
        return self.score()

    def settle(self) -> None:
        """Raise what has ended the training before its time, or leave its end to the run's keeper."""
        self.fitted.finished()
        if self.fitted.snapshot:  # since the last epoch somebody may have said stop
            self.run.keeper.epoch_ended(self.fitted.snapshot)

    def score(self) -> Result:
        """Embed and score the run. It touches nothing outside, so another process may do it."""
        clock = Clock({"fit": self.seconds})
        config, cells = self.run.config, self.cells
        parts, streams = split(config, cells), streams_of(config)
        return scored(config, cells, parts, streams, self.embedder, self.fitted.history, clock)


def experiment(
    config: RunConfig,
    cells: Cells,
    on_epoch: Callable[[dict[str, float]], None],
    keeper: Keeper | None = None,
) -> Result:
    """Run one `Experiment` on its cells. The same config and cells give the same result, timing apart."""
    (unscored,) = experiments([Experiment(config, on_epoch, keeper or Keeper())], cells)
    return unscored()


def experiments(runs: Sequence[Experiment], cells: Cells, device: str = "cpu") -> list[Unscored]:
    """Train the models of one or several experiments, each as it would be alone.

    Parameters
    ----------
    runs
        One, or several that can train together (`bie.execution.packs`).
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
    embedders = [build_embedder(r.config.model, r.config.penalty, r.config.train, r.keeper) for r in runs]
    parts = [split(run.config, cells) for run in runs]
    each = zip(parts, runs, strict=True)
    given = [(p["train"], p["test"], streams_of(run.config), run.on_epoch) for p, run in each]
    fitted = fit_all(embedders, given, cells, device)
    clock.lap("fit")
    seconds = clock.seconds["fit"] / len(runs)
    ends = zip(runs, embedders, fitted, strict=True)
    return [Unscored(run, cells, embedder, found, seconds) for run, embedder, found in ends]


def split(config: RunConfig, cells: Cells) -> dict[str, NDArray[np.int64]]:
    """Rows of the training and of the test cells."""
    seed = config.own_seeds.get("split_seed", config.seed)
    train, test = monte_carlo_split(cells.n_cells, config.split.train_fraction, seed)
    return {"train": train, "test": test}


def streams_of(config: RunConfig) -> Streams:
    """Where all other randomness of a run comes from."""
    return Streams(config.seed, config.own_seeds)


def with_genes(config: RunConfig, cells: Cells) -> Cells:
    """The cells with the genes that the run models: all, or those that vary most among its training cells."""
    assert isinstance(config.dataset, Source)  # what yields cells
    if config.dataset.n_top_genes is None:
        return cells
    train = split(config, cells)["train"]
    return most_variable(cells, train, config.dataset.n_top_genes, config.dataset.hvg)
