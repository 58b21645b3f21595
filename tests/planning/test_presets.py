"""Presets, and the model's newer settings, from the command line to the checked configuration."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from bie.config import RunConfig
from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import Combination, expand
from bie.planning.plan import Plan, make_plan
from bie.store.identity import config_id, scientific
from bie.store.paths import Tree

PUBLISHED = ["scvi_2018", "scvi_2019_study", "scvi_tools"]


HASHES = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}


@pytest.fixture
def combinations(configurations: Configurations):
    def found(*typed: str) -> list[Combination]:
        return expand(typed, configurations).combinations

    return found


@pytest.fixture
def config_of(combinations):
    def config(*typed: str) -> RunConfig:
        first: Combination = combinations(*typed)[0]
        return first.config

    return config


@pytest.fixture
def plan_of(combinations, tmp_path):
    def plan(*typed: str) -> Plan:
        return make_plan(combinations(*typed), lambda config: HASHES, Tree(tmp_path))

    return plan


def identity(config: RunConfig) -> str:
    return config_id(scientific(config, HASHES))


@pytest.mark.parametrize(
    ("preset", "model", "train"),
    [
        ("scvi_2018", {"library": "modelled", "variance_floor": 0.0}, {"epochs": 250, "lr": 1e-3}),
        ("scvi_2019_study", {"library": "modelled", "variance_floor": 0.0}, {"epochs": 400, "lr": 5e-4}),
        (
            "scvi_tools",
            {"library": "observed", "variance_floor": 1e-4},
            {"epochs": 400, "lr": 1e-3, "weight_decay": 1e-6},
        ),
    ],
)
def test_presets_are_what_was_published(preset: str, model: dict[str, Any], train: dict[str, Any], config_of):
    config = config_of(f"preset={preset}")
    everywhere = {"likelihood": "zinb", "dispersion": "gene", "n_latent": 10, "n_hidden": 128, "dropout": 0.1}
    assert config.model.model_dump().items() >= (everywhere | {"n_layers": 1} | model).items()
    same = {"adam_eps": 0.01, "batch_size": 128, "weight_decay": 0.0}
    assert config.train.model_dump().items() >= (same | train).items()
    assert (config.train.kl.mode, config.train.kl.warmup_epochs, config.train.kl.weight) == ("warmup", 400, 1)
    assert config.split.train_fraction == 0.6


@pytest.mark.parametrize("model", ["scvi", "scvi_mine", "scvi_mmd", "adversarial"])
@pytest.mark.parametrize("preset", PUBLISHED)
def test_a_preset_acts_on_every_model_and_leaves_its_penalty(model: str, preset: str, config_of):
    plain, changed = config_of(f"model={model}"), config_of(f"model={model}", f"preset={preset}")
    assert changed.model.name == model
    assert changed.penalty == plain.penalty
    assert changed.model.library == config_of(f"preset={preset}").model.library


def test_what_is_typed_wins_over_a_preset_in_any_order(config_of):
    typed = ["model.library=modelled", "train.lr=0.1", "preset=scvi_tools"]
    for order in itertools.permutations(typed):
        config = config_of(*order)
        assert (config.model.library, config.train.lr) == ("modelled", 0.1)
        assert config.train.weight_decay == 1e-6


def test_a_short_training_stays_short_under_a_preset(config_of):
    config = config_of("preset=scvi_2019_study", "train=smoke")
    assert (config.train.epochs, config.train.kl.warmup_epochs, config.train.lr) == (20, 10, 5e-4)


def test_a_preset_is_the_settings_it_stands_for(config_of):
    spelled = ["model.library=observed", "train.epochs=400", "train.weight_decay=1e-6"]
    assert identity(config_of("preset=scvi_tools")) == identity(config_of(*spelled))
    assert identity(config_of("preset=none")) == identity(config_of())
    assert len({identity(config_of(f"preset={preset}")) for preset in ["none", *PUBLISHED]}) == 4


def test_swept_presets_and_trainings_are_told_apart_by_name(plan_of):
    plan = plan_of("preset=none,scvi_tools", "train=full,smoke", "train.lr=1e-3,1e-4")
    assert [point.grid for point in plan.points][:3] == [
        {"preset": "none", "train": "full", "train.lr": 1e-3},
        {"preset": "none", "train": "full", "train.lr": 1e-4},
        {"preset": "none", "train": "smoke", "train.lr": 1e-3},
    ]
    assert plan.points[-1].title == "zinb scvi preset=scvi_tools train=smoke train.lr=0.0001"


def test_every_likelihood_and_dispersion_is_a_run_of_its_own_where_it_acts(plan_of):
    swept = [
        "model.likelihood=zinb,nb,poisson,gaussian",
        "model.dispersion=gene,gene-batch,gene-label,gene-cell",
    ]
    plan = plan_of(*swept)
    assert len(plan.runs) == 13
    assert plan.dropped == {"model.dispersion has no effect with model.likelihood=poisson": 3}


@pytest.mark.parametrize(
    ("typed", "n_runs", "reason"),
    [
        (["model.n_layers=1"], 1, "n_layers=1"),
        (["model.n_layers=2"], 2, ""),
        (["model.n_layers=2", "model.batch_covariate=false"], 1, "batch_covariate=false"),
        (["model.n_layers=2", "model.batch_covariate=false", "model.encode_covariates=true"], 2, ""),
    ],
)
def test_where_covariates_enter_acts_with_covariates_and_layers(
    typed: list[str], n_runs: int, reason: str, plan_of
):
    plan = plan_of("model.deeply_inject_covariates=true,false", *typed)
    assert len(plan.runs) == n_runs
    text = f"model.deeply_inject_covariates has no effect with model.{reason}"
    assert plan.dropped == ({text: 1} if reason else {})


def own(folder: Path, configurations: Configurations, **files: str) -> Configurations:
    for name, text in files.items():
        group, _, choice = name.partition("_")
        (folder / group).mkdir(exist_ok=True)
        (folder / group / f"{choice}.yaml").write_text(f"# @package _global_\n{text}")
    return Configurations(configurations.folder, folder)


def test_a_preset_gives_a_model_no_settings_that_it_does_not_have(
    configurations: Configurations, tmp_path: Path
):
    model = "model:\n  name: linear\n  n_latent: 3\n"
    preset = "defaults: [scvi_tools, _self_]\nmine:\n  scale: 7.0\n"
    mine = own(tmp_path, configurations, model_linear=model, preset_mine=preset)
    plain = mine.composed({"model": "linear", "preset": "mine"}).plain
    assert plain["model"] == {"name": "linear", "n_latent": 10}
    assert "mine" not in plain
    assert plain["train"]["weight_decay"] == 1e-6
    assert mine.composed({"model": "scvi_mine", "preset": "mine"}).plain["mine"]["scale"] == 7.0


def test_a_preset_of_ones_own_is_checked(configurations: Configurations, tmp_path: Path):
    mine = own(tmp_path, configurations, preset_mine="model:\n  n_latnt: 3\n")
    with pytest.raises(BadInput, match=r"preset=mine: model\.n_latnt .* Did you mean model\.n_latent\?"):
        expand(["preset=mine"], mine)
    (tmp_path / "preset" / "mine.yaml").write_text("# @package _global_\ntrain:\n  lr: -1\n")
    with pytest.raises(BadInput, match=r"train\.lr=-1"):
        expand(["preset=mine"], Configurations(configurations.folder, tmp_path))
