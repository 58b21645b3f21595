"""Tiny runs on simulated cells, alone and in packs."""

from pathlib import Path

import pytest

from bie.data.load import load
from bie.data.prepared import write_prepared
from bie.execution.packs import Pack
from bie.execution.run_spec import RunSpec
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id, scientific
from tests.execution.packs import Make
from tests.execution.runs import EPOCHS
from tests.execution.runs import MINE as ONE
from tests.execution.runs import Make as OneRun

MINE = ("model=scvi_mine", "mine.scale=1,100", "mine.steps=1")


@pytest.fixture(autouse=True)
def probed_by_linear_probes(linear_probes: None) -> None:
    """The network is not what these test."""


@pytest.fixture
def make(configurations: Configurations, tmp_path: Path, tiny: tuple[str, ...]) -> Make:
    """The runs of a sweep, in folders of their own."""

    def pack(name: str = "pack", *typed: str) -> Pack:
        small = ("train.epochs=3", "dataset.n_cells=200", "model.n_hidden=16")
        found = expand((*tiny, *small, *(typed or MINE)), configurations).combinations
        cells = load(found[0].config.dataset)
        prepared = write_prepared(cells, tmp_path / "cells")
        specs = []
        for each in found:
            for seed in each.seeds:
                config = each.config.model_copy(update={"seed": seed})
                plain = scientific(config, cells.hashes)
                del plain["seed"]
                folder = tmp_path / name / config_id(plain)[:12] / str(seed)
                specs.append(RunSpec(folder.name, config, plain, config_id(plain), prepared, {}, folder))
        return tuple(specs)

    return pack


@pytest.fixture
def make_run(configurations: Configurations, tmp_path: Path, tiny: tuple[str, ...]) -> OneRun:
    """A run in a folder of its own."""

    def spec(name: str = "run", *overrides: str) -> RunSpec:
        typed = (*tiny, f"train.epochs={EPOCHS}", *(overrides or ONE))
        config = expand(typed, configurations).combinations[0].config
        cells = load(config.dataset)
        plain = scientific(config, cells.hashes)
        del plain["seed"]
        prepared = write_prepared(cells, tmp_path / "cells")
        return RunSpec(name, config, plain, config_id(plain), prepared, {}, tmp_path / name)

    return spec
