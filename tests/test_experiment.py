"""The method as a whole: what each seed of a run drives."""

from typing import Any

import pytest

from bie.config.run import SEEDS
from bie.data.cells import Cells
from bie.data.load import load
from bie.experiment import Result, experiment, split, streams_of
from bie.planning.compose import Configurations
from bie.planning.expand import expand

Run = Any


@pytest.fixture
def run(configurations: Configurations, tiny: tuple[str, ...]) -> Run:
    cells: dict[Any, Cells] = {}

    def result(*typed: str) -> Result:
        small = ("dataset.n_cells=150", "model.n_hidden=8", *typed)
        config = expand((*tiny, *small), configurations).combinations[0].config
        found = cells.setdefault(config.dataset, load(config.dataset))
        return experiment(config, found, lambda row: None)

    return result


def test_seeds_of_their_own_that_equal_the_seed_change_nothing(run: Run) -> None:
    plain, own = run("seed=3"), run("seed=3", *(f"{key}=3" for key in SEEDS))
    assert (own.metrics, own.history) == (plain.metrics, plain.history)


def test_all_of_them_leave_nothing_of_training_to_the_seed(run: Run) -> None:
    held = tuple(f"{key}=3" for key in SEEDS)
    one, other = run("seed=0", *held), run("seed=1", *held)
    assert one.history == other.history == run("seed=3").history
    assert one.metrics["test"]["ari"] == other.metrics["test"]["ari"]
    assert one.metrics["test"]["elbo"] == other.metrics["test"]["elbo"]


@pytest.mark.parametrize("key", [key for key in SEEDS if key != "cluster_seed"])
def test_each_of_them_changes_the_training(run: Run, key: str) -> None:
    assert run("seed=0").history != run("seed=0", f"{key}=3").history


def test_clusters_leave_the_training_alone(run: Run) -> None:
    assert run("seed=0").history == run("seed=0", "cluster_seed=3").history


def test_the_split_is_that_of_its_own_seed(configurations: Configurations) -> None:
    typed = ("dataset.size=smoke", "seed=0", "zip(split_seed=[null,0,3])")
    plain, same, other = (each.config for each in expand(typed, configurations).combinations)
    cells = load(plain.dataset)
    parts = [split(config, cells)["test"].tolist() for config in (plain, same, other)]
    assert parts[0] == parts[1] != parts[2]
    names = ("init", "minibatch", "noise", "kmeans")
    one, another = ([streams_of(c).integer(name) for name in names] for c in (plain, other))
    assert one == another
