"""What several test folders need: the shipped configuration, tiny simulated sweeps."""

import gc
from pathlib import Path

import pandas.errors
import pytest

from bie.planning.compose import Configurations
from bie.store.provenance import configuration_folder

TINY = (
    "dataset.size=smoke",
    "train=smoke",
    "train.epochs=2",
    "metrics.kmeans.n_init=2",
)
"""Overrides that make a run of a second."""


@pytest.fixture(scope="session")
def configurations() -> Configurations:
    return Configurations(configuration_folder())


@pytest.fixture
def tiny() -> tuple[str, ...]:
    return TINY


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
