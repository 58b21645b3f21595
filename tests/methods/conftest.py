"""Experiments of one embedder on 400 simulated cells with a strong batch effect."""

from collections.abc import Callable

import pytest

from bie.config import RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.experiment import experiment
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result

Configure = Callable[..., RunConfig]
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def configure(configurations: Configurations) -> Configure:
    def make(*overrides: str) -> RunConfig:
        typed = ["dataset.size=smoke", "metrics.kmeans.n_init=5", *overrides]
        return expand(typed, configurations).combinations[0].config

    return make


@pytest.fixture(scope="session")
def cells(configure: Configure) -> Cells:
    return load(configure().dataset)


@pytest.fixture(scope="session")
def run(configure: Configure, cells: Cells) -> Run:
    def make(*overrides: str) -> Result:
        return experiment(configure(*overrides), cells, lambda row: None)

    return make
