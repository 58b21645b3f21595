"""Each setting of the model through two epochs of a whole run, with three batches and two layers."""

import dataclasses
import math
from pathlib import Path

import anndata
import numpy as np
import pytest
import torch

from bie.config import Model
from bie.data.cells import Cells
from bie.data.load import load
from bie.experiment import experiment
from bie.metrics.cards import CARDS
from bie.models.scvi import Scvi
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.run import main
from bie.seeds import Streams
from bie.training.fit import fit
from bie.training.run import TrainingRun

CHOICES = [
    ["model.likelihood=poisson", "model.library=observed"],
    ["model.likelihood=gaussian"],
    ["model.likelihood=gaussian", "model.dispersion=gene-batch", "model=scvi_mmd"],
    ["model.likelihood=nb", "model.dispersion=gene-batch"],
    ["model.dispersion=gene-label", "model=adversarial"],
    ["model.dispersion=gene-cell", "model.deeply_inject_covariates=false"],
    ["model.encode_covariates=true", "model.batch_covariate=false"],
    ["preset=scvi_2018", "model=scvi_mine"],
    ["preset=scvi_2019_study"],
    ["preset=scvi_tools"],
]
SIZE = ["dataset.size=smoke", "dataset.n_batches=3", "model.n_layers=2"]
SHORT = ["train=smoke", "train.epochs=2", "metrics.kmeans.n_init=1"]


@pytest.fixture(scope="module")
def cells(configurations: Configurations) -> Cells:
    return load(expand(SIZE, configurations).combinations[0].config.dataset)


@pytest.mark.usefixtures("linear_probes")
@pytest.mark.parametrize("typed", CHOICES, ids=" ".join)
def test_runs_end_with_finite_numbers(typed: list[str], configurations: Configurations, cells: Cells) -> None:
    config = expand([*SIZE, *SHORT, *typed], configurations).combinations[0].config
    result = experiment(config, cells, lambda row: None)
    assert len(result.history) == 2
    assert all(math.isfinite(value) for row in result.history for value in row.values())
    optional = {name for name, card in CARDS.items() if card.optional}
    scores = [v for part in result.metrics.values() for name, v in part.items() if name not in optional]
    assert all(score is not None and math.isfinite(score) for score in scores)
    first, last = result.history
    assert last["train_reconstruction"] < first["train_reconstruction"]


@pytest.mark.parametrize(("dispersion", "still"), [("gene-label", [2]), ("gene-batch", [])])
def test_only_dispersions_of_groups_that_come_up_are_trained(
    dispersion: str, still: list[int], configurations: Configurations, cells: Cells
) -> None:
    """No cell is of type 2: its row stays where it started."""
    label = np.where(cells.label == 2, 1, cells.label)  # type: ignore[arg-type]
    some = dataclasses.replace(cells, label=label)
    typed = [*SIZE, *SHORT, f"model.dispersion={dispersion}"]
    config = expand(typed, configurations).combinations[0].config
    mean_b, var_b = map(torch.from_numpy, some.library_moments())
    streams, rows = Streams(0), np.arange(some.n_cells)
    init = streams.torch("init")
    assert isinstance(config.model, Model)
    model = Scvi(some.n_genes, some.n_batches, config.model, mean_b, var_b, init, some.n_labels)
    log_theta = model.decoder.log_theta
    assert isinstance(log_theta, torch.nn.Parameter)
    before = log_theta.detach().clone()
    fit([TrainingRun(model, None, rows, rows[:2], config.train, streams)], some)
    moved = (log_theta != before).any(1).tolist()
    assert [row for row, changed in enumerate(moved) if not changed] == still


def test_a_dispersion_for_each_label_of_unlabelled_cells_ends_before_anything_starts(
    tmp_path: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    data = anndata.AnnData(random.poisson(3, size=(60, 8)).astype(np.float32))
    data.obs_names, data.obs["batch"] = [f"cell_{i}" for i in range(60)], np.repeat(["a", "b"], 30)
    path = tmp_path / "cells.h5ad"
    data.write_h5ad(path)
    typed = ["dataset=h5ad", f"dataset.path={path}", "dataset.batch_key=batch", "model.dispersion=gene-label"]
    assert main([*typed, *SHORT]) == 2
    assert "model.dispersion=gene-label: the cells have no labels" in capsys.readouterr().err
    assert not (in_tmp / "outputs").exists()
