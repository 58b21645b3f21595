"""The study file of 2019: its arms differ by their KL schedule as they did then."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bie.analysis.study import read_study
from bie.config import Model, RunConfig
from bie.data.load import load
from bie.errors import BadInput
from bie.penalties.mine import Mine
from bie.plan import main as plan
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.run import main as run
from bie.store.paths import Tree


def mine_of(config: RunConfig) -> Mine | None:
    _, section = config.penalty or ("", None)
    return section if isinstance(section, Mine) else None


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
    settings = [mine for config in arms["scvi_mine"] if (mine := mine_of(config))]
    grid = {(mine.n_hidden, mine.n_layers, mine.scale) for mine in settings}
    assert len(grid) == len(settings) == 20
    assert {(mine.critic, mine.batch_input, mine.critic_training) for mine in settings} == {
        ("mine_net", "raw", "none")
    }


def test_step_1_varies_the_initialisation_on_one_split(configurations: Configurations) -> None:
    combinations = expand(["study=mine_2019_step1", "dataset=zinb"], configurations).combinations
    assert len({c.config for c in combinations}) == 21
    assert {c.seeds for c in combinations} == {(0, 1, 2, 3, 4)}
    assert {c.config.split_seed for c in combinations} == {0}


def test_the_repaired_arm_trains_its_critic_under_the_schedule_of_plain_scvi(
    configurations: Configurations, arms: dict[str, list[RunConfig]]
) -> None:
    combinations = expand(["study=mine_2019_repaired", "dataset=zinb"], configurations).combinations
    points = list(dict.fromkeys(c.config for c in combinations))
    assert {point.train.kl.warmup_epochs for point in points} == {400}
    plain = [point for point in points if mine_of(point) is None]
    assert plain == arms["scvi"][:1]  # the very runs of the replica, not made again
    assert {mine.critic_training for point in points if (mine := mine_of(point))} == {"adam"}
    assert len(points) == 9


CELLS = ("dataset=pbmc_like", "dataset.n_cells=120", "dataset.n_genes=30")
SHORT = ("train.epochs=2", "mine.n_hidden=10", "mine.n_layers=3", "metrics.kmeans.n_init=1")
SMALL = (*CELLS, *SHORT, "hydra.launcher.workers=0")


@pytest.mark.usefixtures("linear_probes")
@pytest.mark.parametrize(
    ("name", "few", "n_splits"),
    [
        ("mine_2019_step1", ("seed=0,1",), 1),
        ("mine_2019_schedule", ("train.kl.warmup_epochs=400", "seed=0,1"), 2),
    ],
)
def test_the_smoke_forms_of_step_1_and_of_the_schedules(
    name: str, few: tuple[str, ...], n_splits: int, in_tmp: Path
) -> None:
    assert run(["-m", f"study={name}", *SMALL, "mine.scale=1000", *few]) == 0
    runs = read_study(Tree(in_tmp / "outputs/v1" / name)).runs
    assert sorted(runs["model"]) == ["scvi", "scvi", "scvi_mine", "scvi_mine"]
    assert runs["split_id"].nunique() == n_splits


def test_its_smoke_form_shows_the_untrained_critic_beside_a_trained_one(in_tmp: Path) -> None:
    as_then = ("zip(model=[scvi_mine],train.kl.warmup_epochs=[0])", "mine.scale=100000")
    trained = ("model=scvi_mine", "mine.critic=mine_net4", "mine.scale=10")
    assert run(["-m", "study=mine_2019", *SMALL, *as_then, "seed=0"]) == 0
    assert run(["-m", "study=mine_2019_repaired", *SMALL, *trained, "seed=0"]) == 0
    study = read_study(Tree(in_tmp / "outputs/v1/mine_2019"))  # one tree for both
    assert {config["mine.critic_training"] for config in study.configs.values()} == {"none", "adam"}
    assert study.numbers("test")[["critic_bound", "mi_ross", "probe_f1"]].notna().all(axis=None)


def test_a_simulation_has_the_cells_of_pbmc(configurations: Configurations) -> None:
    config = expand(["dataset=pbmc_like", "dataset.n_genes=20"], configurations).combinations[0].config
    cells = load(config.dataset)
    assert cells.label is not None
    size_bk = [np.bincount(cells.label[cells.batch == batch], minlength=9).tolist() for batch in (0, 1)]
    assert size_bk == [
        [1071, 1495, 3377, 953, 211, 226, 63, 287, 347],
        [550, 732, 1619, 495, 128, 125, 25, 170, 116],
    ]
    with pytest.raises(BadInput, match="of 9 types in 2 batches, not of 5 in 2"):
        expand(["dataset=zinb", "dataset.composition=pbmc"], configurations)


def test_the_ablation_has_each_schedule_with_and_without_the_penalty(
    configurations: Configurations,
) -> None:
    combinations = expand(["study=mine_2019_schedule"], configurations).combinations
    cells = {
        (c.config.model.name, c.config.train.kl.warmup_epochs, mine.scale if mine else None)
        for c in combinations
        for mine in (mine_of(c.config),)
    }
    scales = [1000.0, 10000.0, 100000.0]
    without = {("scvi", epochs, None) for epochs in (0, 400)}
    assert cells == without | {("scvi_mine", epochs, scale) for epochs in (0, 400) for scale in scales}
