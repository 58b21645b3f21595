"""The retina loader on small files of the format that scvi-tools publishes (AnnData 0.7 and today's)."""

from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from bie.data.cells import Cells
from bie.data.datasets import retina
from bie.data.datasets.retina import Retina
from bie.errors import BadInput

N, G = 40, 6
COUNTS = np.random.default_rng(0).poisson(2.0, (N, G)) * (np.arange(N) % 10 != 3)[:, None]
COUNTS[:, 4] = 0  # a gene that nobody saw stays
LABELS = np.array(["RBC", "MG", "BC5A"])[np.arange(N) % 3]
BATCH = np.arange(N) // 25


def write_today(path: Path) -> None:
    obs = pd.DataFrame(
        {"labels": pd.Categorical(LABELS), "batch": BATCH.astype(float)}, [str(n) for n in range(N)]
    )
    var = pd.DataFrame(index=[str(g) for g in range(G)])
    anndata.AnnData(X=sp.csr_matrix(COUNTS.astype(np.float64)), obs=obs, var=var).write_h5ad(path)


def write_0_7(path: Path) -> None:
    """The layout of 2020: categories in a group of their own, columns without encoding."""
    with h5py.File(path, "w") as file:
        x_ng = sp.csr_matrix(COUNTS.astype(np.float32))
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": x_ng.shape})
        for part in ("data", "indices", "indptr"):
            matrix[part] = getattr(x_ng, part)
        for name, size, columns in (("obs", N, ["batch", "labels"]), ("var", G, [])):
            table = file.create_group(name)
            table["_index"] = np.array([str(i) for i in range(size)], dtype=object)
            table.attrs.update(
                {"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"}
            )
            table.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
        values, codes = np.unique(LABELS, return_inverse=True)
        file["obs/__categories/labels"] = values.astype(object)
        file["obs/labels"] = codes.astype(np.int8)
        file["obs/labels"].attrs["categories"] = file["obs/__categories/labels"].ref
        file["obs/batch"] = BATCH


@pytest.fixture(params=[write_today, write_0_7])
def cells(request: pytest.FixtureRequest, tmp_path: Path) -> Cells:
    write: Callable[[Path], None] = request.param
    write(tmp_path / "retina.h5ad")
    return retina.assemble(tmp_path / "retina.h5ad")


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
def test_cells_without_counts_are_dropped_and_no_gene_is(cells: Cells) -> None:
    kept = COUNTS.sum(axis=1) > 0
    assert 0 < kept.sum() < N
    assert (cells.counts.toarray() == COUNTS[kept]).all()
    assert cells.batches == ("0", "1")
    assert (cells.batch == BATCH[kept]).all()
    assert cells.label is not None
    assert [cells.labels[k] for k in cells.label] == LABELS[kept].tolist()
    assert cells.cell_names.tolist() == np.flatnonzero(kept).astype(str).tolist()


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
def test_the_prior_of_the_library_is_that_of_both_batches(cells: Cells) -> None:
    totals = COUNTS.sum(axis=1)
    mean_b, var_b = cells.library_moments()
    assert mean_b == pytest.approx([np.log(totals[totals > 0]).mean()] * 2, rel=1e-6)
    assert var_b == pytest.approx([np.log(totals[totals > 0]).var()] * 2, rel=1e-5)


@pytest.mark.usefixtures("no_network")
def test_without_network_both_addresses_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        retina.load(Retina(source="retina", name="retina", cache=tmp_path))
    said = str(caught.value)
    assert said.startswith("retina needs 1 file and the download failed. ")
    assert (
        "retina.h5ad  from https://exampledata.scverse.org/scvi-tools/retina.h5ad or "
        "https://figshare.com/ndownloader/files/51086201"
    ) in said
    assert retina.FILE.checksum == "sha256:5363642ff02647d6868494b962ec962a5d2e3d90703415e245e7c1727c66cf21"
