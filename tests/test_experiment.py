"""What one run says besides its numbers."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from bie.config import RunConfig
from bie.data.cells import Cells, canonical
from bie.data.load import load
from bie.experiment import experiment
from bie.planning.compose import Configurations
from bie.planning.expand import expand


@pytest.fixture(scope="module")
def config(configurations: Configurations) -> RunConfig:
    typed = ["dataset.size=smoke", "train=smoke", "train.epochs=1", "metrics.kmeans.n_init=1"]
    return expand(typed, configurations).combinations[0].config


@pytest.fixture(scope="module")
def cells(config: RunConfig) -> Cells:
    return load(config.dataset)


def test_protocols_of_unlike_depth_and_types_of_one_batch_are_noted(config: RunConfig, cells: Cells) -> None:
    assert cells.label is not None
    deep = sp.diags_array(np.where(cells.batch == 1, 500.0, 1.0)) @ cells.counts
    batch_n = np.where(cells.label == 0, 0, cells.batch)
    odd = dataclasses.replace(cells, counts=canonical(deep), batch=batch_n)
    notes = experiment(config, odd, lambda row: None).notes["cells"]
    assert f"1 of {cells.n_labels} cell types are in one batch only ({cells.labels[0]})" in notes
    assert "total counts of the batches differ " in notes
    assert "-fold: model.library=observed takes them as they are" in notes


def test_f1_of_each_batch_goes_by_its_name(config: RunConfig, cells: Cells) -> None:
    found = experiment(config, cells, lambda row: None)
    assert "cells" not in found.notes
    for part in ("train", "test"):
        f1 = found.probe_f1_by_batch[part]
        assert f1.keys() == set(cells.batches)
        assert np.mean(list(f1.values())) == pytest.approx(found.metrics[part]["probe_f1"])


def test_transport_within_each_type_goes_by_its_name(config: RunConfig, cells: Cells) -> None:
    found = experiment(config, cells, lambda row: None)
    for part in ("train", "test"):
        ratio = found.ot_ratio_by_type[part]
        assert ratio.keys() <= set(cells.labels)
        assert np.mean(list(ratio.values())) == pytest.approx(found.metrics[part]["ot_ratio"])
    assert len(found.ot_ratio_by_type["train"]) == 5  # of some types too few test cells
