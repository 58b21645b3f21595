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
from bie.methods import FitInputs, build_embedder, fit_all
from bie.methods.base import Embedder
from bie.result import Clock, Result, scored
from bie.seeds import Streams
from bie.training.checkpoint import CheckpointHook
from bie.training.run import Fitted


@dataclass(frozen=True)
class Experiment:
    """One experiment, and who is told of its progress.

    Attributes
    ----------
    config
        What to run.
    on_epoch
        Called with each row of the history as it is made.
    hook
        Where the training finds a checkpoint to go on from, and leaves its own.
    """

    config: RunConfig
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    hook: CheckpointHook = field(default_factory=CheckpointHook)


@dataclass(frozen=True)
class Unscored:
    """An experiment whose training is over: `finish` it, then `score` it, or call it for both.

    Attributes
    ----------
    run
        What was asked for.
    cells
        The data, as perturbed and with the genes of the run.
    embedder, fitted
        The trained model, and how its training ended.
    seconds
        Wall time of the training; an equal share of it where several runs trained at once.
    """

    run: Experiment
    cells: Cells
    embedder: Embedder
    fitted: Fitted
    seconds: float

    def __call__(self) -> Result:
        """Finish and score it.

        Raises
        ------
        RunFailed
            Training diverged.
        """
        self.finish()
        return self.score()

    def finish(self) -> None:
        """Raise what has ended the training before its time, or else offer its last state to the hook.

        The hook may raise too: since the last epoch somebody may have asked the run to stop.
        """
        self.fitted.finished()
        if self.fitted.snapshot:
            self.run.hook.epoch_ended(self.fitted.snapshot)

    def score(self) -> Result:
        """Embed and score the run. It has no side effects, so another process may do it."""
        clock = Clock({"fit": self.seconds})
        config, cells = self.run.config, self.cells
        parts, streams = split(config, cells), streams_of(config)
        return scored(config, cells, parts, streams, self.embedder, self.fitted.history, clock)


def experiment(
    config: RunConfig,
    cells: Cells,
    on_epoch: Callable[[dict[str, float]], None],
    hook: CheckpointHook | None = None,
) -> Result:
    """Run one `Experiment` on its cells. The same config and cells give the same result, timing apart."""
    (unscored,) = experiments([Experiment(config, on_epoch, hook or CheckpointHook())], cells)
    return unscored()


def experiments(runs: Sequence[Experiment], cells: Cells, device: str = "cpu") -> list[Unscored]:
    """Train the models of one or several experiments, each as it would be alone.

    Parameters
    ----------
    runs
        One, or several that can train together (`bie.execution.packs`).
    cells
        The data set that all of them name, before it is perturbed.
    device
        Where to train. Latent vectors and scores are made on the CPU.

    Returns
    -------
    list[Unscored]
        In the order of the runs, each to be scored once.
    """
    clock = Clock()
    config = runs[0].config  # runs that train together differ in nothing that makes the cells
    cells = with_genes(config, perturbed(cells, config.perturb))
    embedders = [build_embedder(r.config.model, r.config.penalty, r.config.train, r.hook) for r in runs]
    fitted = fit_all(embedders, [_fit_inputs(run, cells) for run in runs], cells, device)
    clock.lap("fit")
    seconds = clock.seconds["fit"] / len(runs)
    trained = zip(runs, embedders, fitted, strict=True)
    return [Unscored(run, cells, embedder, how, seconds) for run, embedder, how in trained]


def _fit_inputs(run: Experiment, cells: Cells) -> FitInputs:
    rows = split(run.config, cells)
    return FitInputs(rows["train"], rows["test"], streams_of(run.config), run.on_epoch)


def split(config: RunConfig, cells: Cells) -> dict[str, NDArray[np.int64]]:
    """Rows of the training cells (``train``) and of the test cells (``test``); see `monte_carlo_split`."""
    seed = config.own_seeds.get("split_seed", config.seed)
    train, test = monte_carlo_split(cells.n_cells, config.split.train_fraction, seed)
    return {"train": train, "test": test}


def streams_of(config: RunConfig) -> Streams:
    """The random streams of a run: all of its randomness but the split's."""
    return Streams(config.seed, config.own_seeds)


def with_genes(config: RunConfig, cells: Cells) -> Cells:
    """The cells with the genes that the run models: all, or those that vary most among its training cells."""
    assert isinstance(config.dataset, Source)  # the sections that yield cells
    if config.dataset.n_top_genes is None:
        return cells
    train = split(config, cells)["train"]
    return most_variable(cells, train, config.dataset.n_top_genes, config.dataset.hvg)
