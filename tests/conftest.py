"""What several test folders need: the shipped configuration, tiny simulated sweeps."""

import gc
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas.errors
import pytest

from bie.planning.compose import Composed, Configurations
from bie.store.provenance import configuration_folder

TINY = (
    "dataset.size=smoke",
    "dataset.n_cells=200",
    "train=smoke",
    "train.epochs=2",
    "metrics.kmeans.n_init=2",
)
"""Overrides that make a run of a second."""


@pytest.fixture(scope="session")
def configurations() -> Configurations:
    return Configurations(configuration_folder())


@pytest.fixture(scope="session", autouse=True)
def compose_each_choice_once() -> Iterator[None]:
    """What the shipped files compose to is found once in a process, not in each verb: half of its work."""
    compose, shipped = Configurations._compose, configuration_folder()
    found: dict[tuple[tuple[str, str], ...], Composed] = {}

    def remembered(self: Configurations, choices: Mapping[str, str]) -> Composed:
        if (self.folder, self.own, self.name, self.searched) != (shipped, None, "config", ()):
            return compose(self, choices)
        key = tuple(choices.items())
        if key not in found:
            found[key] = compose(self, choices)
        assert self.loader, "Hydra is set up by it"
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Configurations, "_compose", remembered)
        yield


@pytest.fixture
def tiny() -> tuple[str, ...]:
    return TINY


@pytest.fixture
def linear_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process are probed by linear probes alone; see `tests.probes`."""
    from tests.probes import linear  # by a process that tests these

    linear(monkeypatch)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder: `outputs/` lands in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_configure(config: pytest.Config) -> None:
    """What anndata and scanpy ask of pandas 3 is no error of ours; older ones have no such warning."""
    if hasattr(pandas.errors, "Pandas4Warning"):
        config.addinivalue_line("filterwarnings", "ignore::pandas.errors.Pandas4Warning")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not go through half a million objects each time."""
    gc.collect()
    gc.freeze()
