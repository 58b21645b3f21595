"""What an experiment is about: cells (`bie.experiment`), or something else, with one module here each.

A dataset section says what it yields and a model section what it takes (`bie.config.Data.yields`,
`bie.config.Method.takes`); the configuration is refused where these differ. All kinds share the
sweep, the store, the verdicts and the report, since all end in the same `Result`. The module ``bie.kinds.X``
of what is called X has, for configurations that passed:

``about(dataset) -> str``
    Its size, for the plan.
``check(config) -> None``
    Raises `BadInput` before anything starts.
``experiment(config, on_epoch) -> Result``
    The method from top to bottom. It draws its data itself, from the seed of the split, so that runs with the
    same ``split_id`` are on the same data.

They are loaded to make a plan, so what is heavy they import inside functions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bie.config import Data, RunConfig
from bie.data.cells import Cells
from bie.store.identity import SHOWN, sha256

if TYPE_CHECKING:
    from bie.experiment import Experiment
    from bie.result import Result

OnEpoch = Callable[[dict[str, float]], None]


class Kind(Protocol):
    """Functions that a module of this package has."""

    def about(self, dataset: Data) -> str:
        """Size of a data set, for the plan."""

    def check(self, config: RunConfig) -> None:
        """Raise `BadInput` if it cannot be run."""

    def experiment(self, config: RunConfig, on_epoch: OnEpoch) -> "Result":
        """Run one experiment; the same configuration gives the same result, timing apart."""


def of(dataset: Data) -> Kind | None:
    """The module for what a dataset yields; None for cells."""
    return None if dataset.yields == "cells" else cast(Kind, import_module(f"{__name__}.{dataset.yields}"))


def content(dataset: Data) -> dict[str, str]:
    """Hashes that stand for data that are drawn anew for every seed: of the settings that say how."""
    plain = {key: value for key, value in dataset.scientific().items() if key != "name"}
    return dict.fromkeys(("sha256", "unlabelled_sha256"), sha256(plain))


def place(dataset: Data, folder: Path) -> Path:
    """What stands for the prepared copy of such data, of which there is none."""
    return folder / content(dataset)["sha256"][:SHOWN]


def begun(
    runs: "Sequence[Experiment]", cells: Callable[[], Cells], device: str = "cpu"
) -> "Sequence[Callable[[], Result]]":
    """What gives the results of experiments of any kind, those about cells when they are trained.

    Parameters
    ----------
    runs
        One, or several about cells that can train together. Other kinds begin anew after an interruption.
    cells
        Gives the cells; asked where the experiments are about cells.
    device
        Where to train; see `bie.experiment.experiments`.
    """
    kind = of(runs[0].config.dataset)
    if kind is None:
        from bie.experiment import experiments  # torch

        return experiments(runs, cells(), device)
    return [partial(kind.experiment, run.config, run.on_epoch) for run in runs]
