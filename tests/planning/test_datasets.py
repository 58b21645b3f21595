import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from bie.data.cells import Cells
from bie.data.load import load
from bie.errors import BadInput
from bie.planning import datasets
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.outline import outline
from bie.planning.plan import make_plan
from bie.store.paths import Tree


@pytest.fixture
def config_of(configurations):
    return lambda *typed: expand(["dataset.size=smoke", *typed], configurations).combinations[0].config


def test_each_dataset_is_read_once(config_of):
    known = Datasets()
    config = config_of()
    assert known.content(config) == known.content(config_of("train.epochs=3")) == known[config.dataset].hashes
    assert known[config.dataset] is known[config_of("seed=7").dataset]


@pytest.mark.parametrize("fraction", [0.003, 0.999])
def test_a_split_needs_cells_on_both_sides(config_of, fraction: float):
    with pytest.raises(BadInput, match=rf"split.train_fraction={fraction}.*at least 2 each"):
        Datasets().content(config_of(f"split.train_fraction={fraction}"))


def test_a_dispersion_for_each_label_needs_labels(config_of, monkeypatch: pytest.MonkeyPatch):
    labelled = load(config_of().dataset)
    cells = dataclasses.replace(labelled, label=None, labels=())
    monkeypatch.setattr(datasets, "load", lambda section: cells)
    per_label = config_of("model.dispersion=gene-label")
    with pytest.raises(BadInput, match=r"model\.dispersion=gene-label: .* dataset\.label_key"):
        Datasets().content(per_label)
    for config in (config_of("model.dispersion=gene-label", "model.likelihood=poisson"), config_of()):
        assert Datasets().content(config) == cells.hashes
    monkeypatch.setattr(datasets, "load", lambda section: labelled)
    assert Datasets().content(per_label) == labelled.hashes


def test_equal_totals_of_all_cells_cannot_be_modelled(config_of, monkeypatch: pytest.MonkeyPatch):
    batch = np.repeat([0, 1], 20)
    counts = sp.csr_matrix(np.ones((40, 5), np.float32))
    names = np.arange(40).astype(str)
    cells = Cells(counts, batch, ("a", "b"), None, (), names, names[:5])
    monkeypatch.setattr(datasets, "load", lambda section: cells)
    with pytest.raises(BadInput, match=r"all 40 cells .* total count, 5, .*model.library=observed"):
        Datasets().content(config_of())
    assert Datasets().content(config_of("model.library=observed")) == cells.hashes
    counts[:20, 0] = 2
    assert Datasets().content(config_of()) == cells.hashes  # one total a batch, but not the same


def test_a_plan_downloads_nothing(configurations: Configurations, tmp_path: Path):
    typed = ["dataset=pbmc,zinb", f"dataset.cache={tmp_path}", "dataset.size=smoke", "model=pca", "seed=0,1"]
    found, cells = expand(typed, configurations), Datasets(may_download=False)
    plan = make_plan(found.combinations, cells.content, Tree(tmp_path / "outputs"))
    assert len(plan.todo) == 4
    lines = outline(plan, cells)
    assert lines[0].startswith("pbmc (to download: 4 files (60 MB); bie data fetch pbmc)")
    assert lines[-1] == "  what is done of pbmc cannot be told before"
    assert list(tmp_path.iterdir()) == []
