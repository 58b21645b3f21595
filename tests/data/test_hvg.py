"""Highly variable genes against scanpy itself, and that test cells have no say in them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bie.config import RunConfig
from bie.data import hvg
from bie.data.cells import Cells
from bie.data.load import load
from bie.errors import RunFailed
from bie.execution.packs import Packing
from bie.execution.run_spec import RunSpec
from bie.experiment import experiment, split, with_genes
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import canonical, config_id, scientific

FLAVORS = ["seurat_v3", "pearson_residuals", "cell_ranger"]
SMALL = ("dataset.n_cells=600", "dataset.n_genes=120", "dataset.n_batches=3", "dataset.composition_shift=0.3")


@pytest.fixture(scope="module")
def cells(configurations: Configurations) -> Cells:
    return load(expand(SMALL, configurations).combinations[0].config.dataset)


@pytest.fixture
def configure(configurations: Configurations, tiny: tuple[str, ...]):
    def config(*typed: str) -> RunConfig:
        return expand([*tiny, *SMALL, *typed], configurations).combinations[0].config

    return config


def by_scanpy(cells: Cells, rows: NDArray[np.int64], n: int, flavor: str) -> NDArray[np.str_]:
    """As a tutorial calls it, on these rows, from names and not from codes."""
    import anndata
    import pandas as pd
    import scanpy

    data = anndata.AnnData(
        cells.counts[rows],
        obs=pd.DataFrame({"donor": np.asarray(cells.batches)[cells.batch[rows]]}, index=rows.astype(str)),
        var=pd.DataFrame(index=cells.gene_names),
    )
    if flavor == "pearson_residuals":
        scanpy.experimental.pp.highly_variable_genes(data, n_top_genes=n, batch_key="donor")
    else:
        if flavor == "cell_ranger":
            scanpy.pp.normalize_total(data)
            scanpy.pp.log1p(data)
        scanpy.pp.highly_variable_genes(data, n_top_genes=n, batch_key="donor", flavor=flavor)
    return np.array(data.var_names[data.var["highly_variable"]], dtype=np.str_)


@pytest.mark.filterwarnings("ignore")  # scanpy's own
@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_genes_are_those_that_scanpy_chooses_from_the_training_cells(flavor, cells, configure):
    train = split(configure(), cells)["train"]
    chosen = hvg.most_variable(cells, train, 40, flavor)
    assert chosen.gene_names.tolist() == by_scanpy(cells, np.sort(train), 40, flavor).tolist()
    column = {name: i for i, name in enumerate(cells.gene_names)}
    kept = [column[name] for name in chosen.gene_names]
    np.testing.assert_array_equal(chosen.counts.toarray(), cells.counts.toarray()[:, kept])
    assert (chosen.n_cells, chosen.batches, chosen.labels) == (600, cells.batches, cells.labels)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_test_cells_have_no_say(flavor, cells, configure):
    parts = split(configure(), cells)
    altered = cells.counts.toarray()
    altered[parts["test"]] = altered[parts["test"]][:, ::-1]
    leaked = dataclasses.replace(cells, counts=type(cells.counts)(altered))
    first, second = (hvg.chosen_genes(x, parts["train"], 40, flavor) for x in (cells, leaked))
    np.testing.assert_array_equal(first, second)
    all_cells = np.arange(cells.n_cells)
    whole, changed = (hvg.chosen_genes(x, all_cells, 40, flavor) for x in (cells, leaked))
    assert not np.array_equal(whole, changed)  # as tutorials do it


def test_small_batches_have_no_say_unless_all_are_small(cells, configure):
    train = split(configure(), cells)["train"]
    batch = np.where(np.arange(600) < 590, cells.batch % 2, 2)  # the last one has 10 cells at most
    few = dataclasses.replace(cells, batch=batch)
    others = dataclasses.replace(cells, batch=cells.batch % 2, batches=cells.batches[:2])
    heard = train[train < 590]
    np.testing.assert_array_equal(
        hvg.chosen_genes(few, train, 40, "seurat_v3"), hvg.chosen_genes(others, heard, 40, "seurat_v3")
    )
    tiny = dataclasses.replace(
        cells, batch=np.arange(600) // 15, batches=tuple(f"donor_{i}" for i in range(40))
    )
    whole = dataclasses.replace(cells, batch=cells.batch * 0, batches=("all",))
    np.testing.assert_array_equal(
        hvg.chosen_genes(tiny, train, 40, "seurat_v3"), hvg.chosen_genes(whole, train, 40, "seurat_v3")
    )


def test_what_scanpy_cannot_compute_fails_the_run_with_a_remedy(cells):
    counts = type(cells.counts)(np.ones((600, 120), np.float32))
    with pytest.raises(RunFailed, match=r"dataset\.hvg=seurat_v3 cannot be computed .*=pearson_residuals"):
        hvg.most_variable(dataclasses.replace(cells, counts=counts), np.arange(300), 40, "seurat_v3")


def test_a_cell_without_counts_in_the_genes_is_said(cells, configure):
    train = split(configure(), cells)["train"]
    kept = hvg.chosen_genes(cells, train, 40, "seurat_v3")
    counts = cells.counts.toarray()
    bare = split(configure(), cells)["test"][0]
    counts[bare, kept] = 0
    with pytest.raises(
        RunFailed, match=r"1 of 600 cells have no count in the 40 genes .*dataset\.min_counts"
    ):
        hvg.most_variable(
            dataclasses.replace(cells, counts=type(cells.counts)(counts)), train, 40, "seurat_v3"
        )


def test_the_number_and_the_way_are_part_of_the_identity(configure):
    def identity(*typed: str) -> str:
        return config_id(scientific(configure(*typed), {"sha256": "0" * 64}))

    chosen = "dataset.n_top_genes=40"
    found = [(), (chosen,), ("dataset.n_top_genes=50",), (chosen, "dataset.hvg=cell_ranger")]
    assert len({identity(*typed) for typed in found}) == 4
    assert identity("dataset.hvg=cell_ranger") == identity()
    assert "n_top_genes" not in json.dumps(scientific(configure(), {"sha256": "0" * 64}))


@pytest.mark.usefixtures("linear_probes")
def test_a_run_models_the_chosen_genes_and_repeats_itself(cells, configure):
    config = configure("dataset.n_top_genes=40", "save.model=true")
    first, second = (experiment(config, cells, lambda row: None) for _ in range(2))
    assert first.metrics == second.metrics
    assert with_genes(config, cells).n_genes == 40
    assert first.metrics != experiment(configure(), cells, lambda row: None).metrics


def test_runs_with_other_genes_do_not_share_a_pack(configure, tmp_path: Path):
    def task(*typed: str) -> RunSpec:
        config = configure(*typed)
        plain = config.scientific()
        return RunSpec("", config, plain, config_id(plain), tmp_path, {}, tmp_path / canonical(typed)[:200])

    def sizes(*typed: str) -> list[int]:
        swept = [("seed=0",), ("seed=1",), ("seed=0", "train.lr=0.01"), ("seed=1", "train.lr=0.01")]
        return [len(pack) for pack in Packing(size=4).packs([task(*typed, *each) for each in swept])]

    assert sizes() == [4]
    assert sizes("dataset.n_top_genes=40") == [2, 2]
