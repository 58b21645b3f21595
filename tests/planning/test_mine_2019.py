"""The study file of 2019: its arms differ by their KL schedule as they did then."""

import json
from collections import Counter
from pathlib import Path

import pytest

from bie.config import Model, RunConfig
from bie.plan import main as plan
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.paths import Tree


@pytest.fixture(scope="module")
def arms(configurations: Configurations) -> dict[str, list[RunConfig]]:
    found: dict[str, list[RunConfig]] = {"scvi": [], "scvi_mine": []}
    for combination in expand(["study=mine_2019", "dataset=zinb"], configurations).combinations:
        found[combination.config.model.name].append(combination.config)
    return found


def test_two_thousand_and_one_hundred_runs(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(["study=mine_2019", "dataset=zinb", "dataset.size=smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 2100


def test_the_cells_are_those_of_the_study(configurations: Configurations, tmp_path: Path) -> None:
    combinations = expand(["study=mine_2019"], configurations).combinations
    plan = make_plan(combinations, lambda config: {"sha256": config.dataset.name}, Tree(tmp_path))
    assert Counter(plan.points[index].dataset for index, _ in plan.runs) == {"pbmc": 2100, "retina": 2100}


def test_the_arms_have_the_schedules_of_the_study(arms: dict[str, list[RunConfig]]) -> None:
    assert {c.train.kl.warmup_epochs for c in arms["scvi"]} == {400}
    assert {c.train.kl.warmup_epochs for c in arms["scvi_mine"]} == {0}
    for config in arms["scvi"] + arms["scvi_mine"]:
        assert isinstance(config.model, Model)
        assert (config.train.kl.mode, config.train.kl.weight) == ("warmup", 1.0)
        assert (config.train.epochs, config.train.lr, config.train.adam_eps) == (400, 5e-4, 0.01)
        assert (config.split.train_fraction, config.model.variance_floor) == (0.6, 0.0)
        assert (config.model.n_hidden, config.model.n_latent, config.model.dropout) == (128, 10, 0.1)


def test_the_grid_is_that_of_the_study(arms: dict[str, list[RunConfig]]) -> None:
    settings = [config.mine for config in arms["scvi_mine"] if config.mine]
    grid = {(mine.n_hidden, mine.n_layers, mine.scale) for mine in settings}
    assert len(grid) == len(settings) == 20
    assert {(mine.critic, mine.batch_input, mine.critic_training) for mine in settings} == {
        ("mine_net", "raw", "none")
    }


def test_the_ablation_has_each_schedule_with_and_without_the_penalty(
    configurations: Configurations,
) -> None:
    combinations = expand(["study=mine_2019_schedule"], configurations).combinations
    cells = {
        (c.config.model.name, c.config.train.kl.warmup_epochs, c.config.mine and c.config.mine.scale)
        for c in combinations
    }
    scales = [1000.0, 10000.0, 100000.0]
    without = {("scvi", epochs, None) for epochs in (0, 400)}
    assert cells == without | {("scvi_mine", epochs, scale) for epochs in (0, 400) for scale in scales}
