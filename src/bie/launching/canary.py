"""A short run of each grid point before the sweep: what cannot work fails in a minute, once."""

from dataclasses import replace
from pathlib import Path

from bie.config import RunConfig
from bie.execution.run_spec import RunSpec
from bie.launching.launched import run_of
from bie.schema import validated
from bie.store.identity import SHOWN, config_id
from bie.store.launches import POINTS
from bie.store.paths import Tree
from bie.store.record import read

EPOCHS, MOST = 2, 50
"""Epochs of a canary's runs; tasks of a canary at the most, which share the grid points."""


def n_canary_tasks(n_points: int) -> int:
    """Tasks of the canary of a launch."""
    return min(n_points, MOST)


def canary_tasks(launch: Path, index: int) -> list[RunSpec]:
    """Runs of one task of the canary. They go to the launch's own folder, never among the study's runs."""
    tree = Tree(launch.parents[1])
    known = sorted((read(launch / POINTS) or {}).items())
    mine = known[index :: n_canary_tasks(len(known))]
    configs = [validated(RunConfig, point["config"]) for _, point in mine]
    return [
        _short(run_of(tree, name, point, config, config.seed), launch)
        for (name, point), config in zip(mine, configs, strict=True)
    ]


def _short(task: RunSpec, launch: Path) -> RunSpec:
    """The same run in a folder of its own, with few epochs, which a control has not: another experiment."""
    plain, config = task.plain, task.config
    if "train" in plain:
        epochs = min(EPOCHS, config.train.epochs)
        config = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})
        plain = {**plain, "train": {**plain["train"], "epochs": epochs}}
    folder = launch / "canary" / task.config_id[:SHOWN] / task.folder.name
    return replace(task, config=config, plain=plain, config_id=config_id(plain), folder=folder)
