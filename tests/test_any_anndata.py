"""What files of real cells look like: genes never seen, shared names, a lone cell, a batch of one total."""

import math
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from bie.config import RunConfig
from bie.data.load import load
from bie.data.split import monte_carlo_split
from bie.experiment import Experiment, experiment, experiments
from bie.kernels import native
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result
from bie.run import main

UNSEEN = [5, 17]
LONE = 3  # the row of the cell that is a batch by itself
LONE_TESTS, LONE_TRAINS = 0, 1  # seeds
CHOICES = [
    ["model.likelihood=nb"],
    ["model.likelihood=poisson"],
    ["model.likelihood=gaussian"],
    ["model.dispersion=gene-batch"],
    ["model.dispersion=gene-label"],
    ["model.dispersion=gene-cell"],
    ["model.likelihood=gaussian", "model.dispersion=gene-batch"],
    ["model.library=observed"],
    ["model.encode_covariates=true"],
    ["preset=scvi_2019_study"],
]
PENALTIES = [
    ["model=scvi_mine"],
    ["model=scvi_mine", "mine.estimator=infonce"],
    ["model=scvi_mine", "mine.critic_training=none"],
    ["model=scvi_mmd"],
    ["model=scvi_mmd", "mmd.estimator=fast"],
    ["model=adversarial"],
    ["model=adversarial", "adversarial.objective=wrong_class"],
]
Make = Callable[..., RunConfig]

pytestmark = pytest.mark.filterwarnings("ignore:Observation names are not unique")


def odd() -> anndata.AnnData:
    """130 cells x 30 genes: batches of 59, 50, 20 and 1 cells, of which those of the third have 20 counts."""
    random = np.random.default_rng(0)
    x_ng = 1 + random.poisson(random.gamma(1.0, 1.0, 30) * random.gamma(5.0, 0.3, (130, 1)))
    x_ng[-20:] = random.permuted(np.arange(30) % 3 == 0, axis=0) * 2
    x_ng[:, UNSEEN] = 0
    obs = pd.DataFrame({"batch": np.repeat(["a", "b", "flat"], [60, 50, 20])})
    obs.loc[LONE, "batch"] = "lone"
    obs["cell_type"] = np.array(["T", "B"])[random.integers(0, 2, 130)]
    obs.index = pd.Index([f"cell_{n % 90}" for n in range(130)])
    return anndata.AnnData(x_ng.astype(np.float32), obs, pd.DataFrame(index=[f"g{g}" for g in range(30)]))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "odd.h5ad"
    odd().write_h5ad(path)
    return path


def typed(path: Path) -> list[str]:
    columns = ["dataset.batch_key=batch", "dataset.label_key=cell_type"]
    short = ["train=smoke", "train.epochs=2", "train.batch_size=32", "metrics.kmeans.n_init=1"]
    return ["dataset=h5ad", f"dataset.path={path}", *columns, *short]


@pytest.fixture
def config_of(path: Path, configurations: Configurations) -> Make:
    def config(*more: str, seed: int = LONE_TESTS) -> RunConfig:
        found = expand([*typed(path), *more], configurations).combinations[0].config
        return found.model_copy(update={"seed": seed})

    return config


def run(config: RunConfig) -> Result:
    return experiment(config, load(config.dataset), lambda row: None)


def history(config: RunConfig) -> list[dict[str, float]]:
    """Of a run that is trained and not scored."""
    (trained,) = experiments([Experiment(config)], load(config.dataset))
    return trained.fitted.history


def check_finite(result: Result) -> None:
    """Every number is there and finite, but for the metrics that say why not."""
    assert all(math.isfinite(value) for row in result.history for value in row.values())
    for part, scores in result.metrics.items():
        for name, value in scores.items():
            explained = name in result.missing or f"{part}.{name}" in result.missing
            assert explained if value is None else math.isfinite(value)


def test_the_seeds_split_as_they_are_named() -> None:
    assert LONE in monte_carlo_split(130, 0.6, LONE_TESTS)[1]
    assert LONE in monte_carlo_split(130, 0.6, LONE_TRAINS)[0]


@pytest.mark.usefixtures("linear_probes")  # the whole run below has the network
@pytest.mark.parametrize("seed", [LONE_TESTS, LONE_TRAINS])
@pytest.mark.parametrize("choice", [*CHOICES, *PENALTIES, ["model=pca"]], ids=" ".join)
def test_runs_end_with_finite_numbers(config_of: Make, choice: list[str], seed: int) -> None:
    check_finite(run(config_of(*choice, seed=seed)))


@pytest.mark.parametrize("choice", [["model=scvi"], *PENALTIES], ids=" ".join)
def test_a_single_batch_to_train_on(path: Path, config_of: Make, choice: list[str], tmp_path: Path) -> None:
    """Of two batches one is a cell that is tested: nothing to penalise, nothing to score in training."""
    data = anndata.read_h5ad(path)
    data.obs_names_make_unique()
    data.obs["batch"] = np.where(data.obs["batch"] == "lone", "lone", "rest")
    data.write_h5ad(tmp_path / "two.h5ad")
    result = run(config_of(*choice, f"dataset.path={tmp_path / 'two.h5ad'}"))
    check_finite(result)
    assert result.missing["train.be"] == "cells of one batch only"
    assert result.missing["mi_ross"] == "fewer than two batches with two cells or more"
    assert result.missing["test.probe_f1"] == (
        "fewer than two batches with cells on which probes are fitted, beside those that they judge"
    )


@pytest.mark.parametrize("choice", [["model=scvi"], ["model=scvi", CHOICES[0][0]]], ids=" ".join)
def test_kernels_agree_with_torch(
    config_of: Make, choice: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = history(config_of(*choice))
    monkeypatch.setattr(native, "kernels", lambda: native.Kernels(None, "torch"))
    for one, other in zip(compiled, history(config_of(*choice)), strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.usefixtures("linear_probes")
@pytest.mark.parametrize("choice", [["model=scvi"], PENALTIES[0], PENALTIES[3], PENALTIES[5]], ids=" ".join)
def test_a_pack_is_its_runs_alone(config_of: Make, choice: list[str]) -> None:
    configs = [config_of(*choice, seed=seed) for seed in (LONE_TESTS, LONE_TRAINS)]
    members = [Experiment(config) for config in configs]
    for config, unscored in zip(configs, experiments(members, load(configs[0].dataset)), strict=True):
        result = unscored()
        check_finite(result)
        for one, other in zip(result.history, history(config), strict=True):
            assert one == pytest.approx(other, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("seed", [LONE_TESTS, LONE_TRAINS])
def test_a_whole_run_names_every_cell_once(path: Path, in_tmp: Path, seed: int) -> None:
    here = "hydra.launcher.workers=0"
    assert main([*typed(path), here, "save.embedding=true", f"seed={seed}"]) == 0
    [file] = in_tmp.glob("outputs/**/embedding.npz")
    data = odd()
    data.obs_names_make_unique()
    assert np.load(file)["cell"].tolist() == data.obs_names.tolist()
