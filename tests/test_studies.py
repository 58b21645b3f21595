"""Studies beside the main question, each in its smoke form: from its file to table and figure."""

from pathlib import Path

import pandas as pd
import pytest

from bie.aggregate import main as aggregate
from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material
from bie.analysis.results import results_of
from bie.analysis.study import Study, read_study
from bie.config.penalties import sections
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.run import main as run
from bie.store.paths import Tree

SMOKE = ("dataset.size=smoke", "train.epochs=2", "metrics.kmeans.n_init=1", "seed=0,1")
HERE = ("hydra.launcher.workers=0",)

pytestmark = pytest.mark.usefixtures("linear_probes")


def done(in_tmp: Path, *typed: str) -> Study:
    assert run(["-m", *typed, *SMOKE, *HERE]) == 0
    return read_study(Tree(in_tmp / "outputs" / "v1" / typed[0].partition("=")[2]))


def test_disentangle_compares_schedules_on_known_factors(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("train.kl.mode=warmup,capacity", "train.kl.weight=1", "train.kl.capacity=4", "train.kl.gamma=10")
    study = done(in_tmp, "study=disentangle", *few)
    assert sorted(study.grid_points["train.kl.mode"]) == ["capacity", "warmup"]
    assert study.numbers("test")[["mig", "dci_disentanglement", "dci_completeness"]].notna().all(axis=None)
    capsys.readouterr()
    assert aggregate([]) == 0
    printed = capsys.readouterr().out
    assert "against scvi train.kl.mode=warmup on the same splits" in printed
    assert "MIG ↑" in printed
    assert "DCI informativeness ↑" in printed


def test_distance_has_a_table_and_a_figure_of_types(in_tmp: Path) -> None:
    study = done(in_tmp, "study=distance", "dataset=zinb", "dataset.majority_share=0.5", "model=pca,noise")
    assert aggregate([]) == 0
    found = pd.read_csv(in_tmp / "outputs/v1/distance/report/by_type.csv")
    of_test = found[found["split"] == "test"].groupby("model")["mean"]
    assert of_test.count().tolist() == [5, 5]
    assert of_test.get_group("pca").min() > 1.2 > 1.1 > of_test.get_group("noise").mean()
    results = results_of(study)
    tree = Tree(in_tmp / "outputs/v1/distance")
    material = Material(tree, study, results.summary, results.comparison, ("ot_ratio",))
    assert "types" in {picture.name for picture in gallery(material)}


def test_probe_training_is_paired_against_plain_training(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done(in_tmp, "study=probe_training", "dataset=zinb", "model.alpha=1", "model.steps=50")
    capsys.readouterr()
    assert aggregate([]) == 0
    printed = capsys.readouterr().out
    assert "against classifier model.training=plain on the same splits" in printed
    assert "type accuracy ↑" in printed
    paired = pd.read_csv(in_tmp / "outputs/v1/probe_training/report/paired.csv")
    shown = paired[(paired["metric"] == "type_f1") & (paired["split"] == "test")]
    assert shown["n_pairs"].tolist() == [2, 2]


NEW = {"scvi_hsic": "hsic", "scvi_club": "club", "scvi_orthogonal": "orthogonal", "scvi_rce": "rce"}


def test_referee_has_all_penalties_between_floors_and_ceilings(
    in_tmp: Path, configurations: Configurations, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (
        "dataset.n_cells=100",
        "dataset.n_genes=50",
        "train.epochs=1",
        "train.kl.warmup_epochs=1",
        "metrics.kmeans.n_init=1",
    )
    assert run(["-m", "study=referee", *small, "seed=0", *HERE]) == 0
    study = read_study(Tree(in_tmp / "outputs/v1/referee"))
    by_model = {config["model.name"]: config for config in study.configs.values()}
    assert by_model.keys() - {"scvi", "noise", "batch_only", "labels_only", "pca"} == {
        "adversarial",
        "scvi_mine",
        "scvi_mmd",
        *NEW,
    }
    assert len(sections()) == 3 + len(NEW)
    for model, name in NEW.items():  # a model's file has the scale that the rule chose
        default = expand([f"model={model}"], configurations).combinations[0].config.penalty
        assert default
        assert by_model[model][f"{name}.scale"] == default[1].scale
    capsys.readouterr()
    assert aggregate([]) == 0
    assert "against scvi train.kl.weight=1 on the same splits" in capsys.readouterr().out


def test_pareto_sets_preferences_beside_scales(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = (
        "dataset.n_cells=100",
        "dataset.n_genes=50",
        "train.epochs=2",
        "metrics.kmeans.n_init=1",
        "seed=0",
    )
    few = ("model=scvi,scvi_mmd", "mmd.scale=1,10", "mmd.preference=null,0.4,0.6")
    assert run(["-m", "study=pareto", *few, *small, *HERE]) == 0
    study = read_study(Tree(in_tmp / "outputs/v1/pareto"))
    by_torch = (
        study.runs["notes"]
        .str.contains("a preference weighs", na=False)
        .groupby(study.runs["config_id"])
        .all()
    )
    assert sorted(by_torch) == [False, False, False, True, True]
    capsys.readouterr()
    assert aggregate([]) == 0
    printed = capsys.readouterr().out
    assert "  scvi_mmd: 2 scales; hypervolume" in printed
    assert "  scvi_mmd by preference: 2 preferences; hypervolume" in printed


def test_set_capacity_has_a_row_for_each_transform_and_its_chance(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-m", "study=set_capacity", "model.epochs=2", "dataset.n_points=20", "seed=0,1", *HERE]) == 0
    study = read_study(Tree(in_tmp / "outputs/v1/set_capacity"))
    assert len(study.grid_points) == 14
    assert study.numbers("test")["map_chance"].to_numpy() == pytest.approx(0.3325, abs=1e-4)
    capsys.readouterr()
    assert aggregate([]) == 0
    printed = capsys.readouterr().out
    assert "mAP ↑ (chance)" in printed
    assert "against set_mean on the same data and splits (7 rows)" in printed
