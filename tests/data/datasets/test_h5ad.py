"""A user's file: every way of storing counts gives the same cells, every fault is named with its remedy."""

import re
import shlex
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from bie.data.cells import Cells
from bie.data.datasets import h5ad
from bie.data.datasets.h5ad import H5ad
from bie.errors import BadInput

Settings = Callable[..., H5ad]


@pytest.fixture
def load(adata: anndata.AnnData, h5ad_settings: Settings) -> Callable[..., Cells]:
    """Write the (spoilt) fixture `adata`, or another, and load it."""

    def written(changed: anndata.AnnData | None = None, **settings: Any) -> Cells:
        chosen = h5ad_settings(**settings)
        (adata if changed is None else changed).write_h5ad(chosen.path)
        return h5ad.load(chosen)

    return written


@pytest.fixture
def refused(load: Callable[..., Cells]) -> Callable[..., str]:
    """Message with which `load` refuses, without the path."""

    def message(changed: anndata.AnnData | None = None, **settings: Any) -> str:
        with pytest.raises(BadInput) as caught:
            load(changed, **settings)
        return re.sub(r"\S*data\.h5ad:? ?", "", str(caught.value))

    return message


def entry(adata: anndata.AnnData, value: float) -> anndata.AnnData:
    """Put one other value among the counts."""
    adata.X.data[17] = value
    return adata


def test_a_good_file(load: Callable[..., Cells], adata: anndata.AnnData) -> None:
    cells = load()
    assert (cells.counts.toarray() == adata.X.toarray()).all()
    assert cells.counts.dtype == np.float32
    assert cells.counts.has_canonical_format
    assert cells.batches == ("early", "late", "mid")
    assert [cells.batches[b] for b in cells.batch] == adata.obs["batch"].tolist()
    assert cells.label is not None
    assert [cells.labels[k] for k in cells.label] == adata.obs["cell_type"].tolist()
    assert cells.cell_names.tolist() == adata.obs_names.tolist()
    assert cells.gene_names.tolist() == adata.var_names.tolist()
    assert cells.library_prior == "batch"


def test_labels_may_be_absent(load: Callable[..., Cells]) -> None:
    cells = load(label_key=None)
    assert (cells.label, cells.labels, cells.n_labels) == (None, (), 0)


FORMS: dict[str, Callable[[Any], Any]] = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "dense": np.asarray,
    "fortran": np.asfortranarray,
    "array": sp.csr_array,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "int32"])
def test_every_form_and_type_gives_the_same_cells(
    load: Callable[..., Cells], adata: anndata.AnnData, form: str, dtype: str
) -> None:
    sha256 = load().sha256
    x_ng = adata.X.toarray()
    adata.X = FORMS[form](x_ng.astype(dtype))
    assert load().sha256 == sha256
    adata.layers["raw"] = adata.X
    adata.X = np.log1p(x_ng)
    assert load(layer="raw").sha256 == sha256


def test_reading_needs_little_more_memory_than_the_cells(
    load: Callable[..., Cells], h5ad_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file that holds twice as much, in 64 bits; checks and hash included."""
    for module in ("matrix._ENTRIES", "checks._BLOCK", "cells._BLOCK"):
        monkeypatch.setattr(f"bie.data.{module}", 2**12)
    x_ng = sp.csr_matrix(np.random.default_rng(0).poisson(0.4, (3000, 500)))
    x_ng.indices = x_ng.indices.astype(np.int64)
    names = [f"c{n}" for n in range(3000)]
    obs = pd.DataFrame({"batch": ["a", "b"] * 1500, "cell_type": ["s"] * 3000}, names)
    load(anndata.AnnData(x_ng, obs, pd.DataFrame(index=[f"g{g}" for g in range(500)])))
    tracemalloc.start()
    cells = h5ad.load(h5ad_settings())
    assert cells.sha256
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.4 * (cells.counts.data.nbytes + cells.counts.indices.nbytes)


def test_explicit_zeros_and_more_rows_than_a_block(load: Callable[..., Cells]) -> None:
    rng = np.random.default_rng(0)
    x_ng = rng.poisson(1.0, (2500, 20)) + 1
    x_ng[rng.random(x_ng.shape) < 0.3] = 0
    obs = pd.DataFrame(
        {"batch": ["a", "b"] * 1250, "cell_type": ["s"] * 2500}, [f"c{n}" for n in range(2500)]
    )
    stored = sp.csr_matrix(np.ones_like(x_ng))
    stored.data = x_ng.ravel()
    var = pd.DataFrame(index=[f"g{g}" for g in range(20)])
    sparse = load(anndata.AnnData(X=stored, obs=obs, var=var))
    dense = load(anndata.AnnData(X=x_ng.astype(np.float32), obs=obs, var=var))
    assert sparse.sha256 == dense.sha256
    assert sparse.counts.nnz == (x_ng > 0).sum()


def test_content_not_path_nor_key_is_the_identity(
    load: Callable[..., Cells], adata: anndata.AnnData, tmp_path: Path
) -> None:
    sha256 = load().sha256
    adata.obs["donor"] = adata.obs["batch"]
    assert load(path=tmp_path / "other.h5ad", batch_key="donor").sha256 == sha256


@pytest.mark.parametrize("key", ["batch", "cell_type"])
def test_nor_is_how_a_column_holds_its_groups(
    load: Callable[..., Cells], adata: anndata.AnnData, key: str
) -> None:
    """The order of levels is R's or pandas' affair: the batch and the type of each cell are the same."""
    numbers = np.arange(60) % 11
    adata.obs[key] = numbers.astype(str)
    sha256 = load().sha256
    in_order = [str(number) for number in range(12)]
    for values in (numbers, numbers.astype(float), pd.Categorical(numbers.astype(str), in_order)):
        adata.obs[key] = values
        assert load().sha256 == sha256


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.arange(60) % 2, ("0", "1")),
        ((np.arange(60) % 2).astype(np.float32), ("0", "1")),
        (np.arange(60) % 2 == 0, ("False", "True")),
        (pd.Categorical(["x", "y"] * 30, categories=["z", "y", "x"]), ("x", "y")),
        (pd.Categorical(np.arange(60) % 2 + 9), ("10", "9")),
        (np.arange(60) % 2 + 9, ("10", "9")),
        (np.array(["x", "y"] * 30), ("x", "y")),
        (pd.array([1, 2] * 30, dtype="Int64"), ("1", "2")),
        (pd.array([True, False] * 30, dtype="boolean"), ("False", "True")),
    ],
)
def test_batch_columns_of_any_type(
    load: Callable[..., Cells], adata: anndata.AnnData, values: Any, names: tuple[str, ...]
) -> None:
    adata.obs["batch"] = values
    cells = load()
    assert cells.batches == names
    assert (np.array(names)[cells.batch] == adata.obs["batch"].astype(str).str.removesuffix(".0")).all()


# the file


def test_no_such_file(h5ad_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\.h5ad does not exist \(seen from .*Give the path"):
        h5ad.load(h5ad_settings())
    with pytest.raises(BadInput, match="it is a folder, but no zarr store"):
        h5ad.load(h5ad_settings(path=tmp_path))
    with pytest.raises(BadInput, match=r"~nobody of this name/a\.h5ad does not exist"):
        h5ad.load(h5ad_settings(path=Path("~nobody of this name/a.h5ad")))


@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_incomplete_copy(load: Callable[..., Cells], h5ad_settings: Settings, share: float) -> None:
    load()
    path = h5ad_settings().path
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadInput, match="cannot be read, it may be damaged or incomplete"):
        h5ad.load(h5ad_settings())


def test_damaged_block(load: Callable[..., Cells], adata: anndata.AnnData, h5ad_settings: Settings) -> None:
    path = h5ad_settings().path
    adata.write_h5ad(path, compression="gzip")
    with h5py.File(path) as file:
        block = file["X/data"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[block.byte_offset + 10 : block.byte_offset + block.size] = bytes(block.size - 10)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read, it may be damaged or incomplete"):
        h5ad.load(h5ad_settings())


def test_other_hdf5(h5ad_settings: Settings) -> None:
    with h5py.File(h5ad_settings().path, "w") as file:
        file["matrix"] = np.ones((3, 3))
    with pytest.raises(BadInput, match="is HDF5, but not an AnnData"):
        h5ad.load(h5ad_settings())


# the columns of obs


def test_missing_keys_are_reported_together(refused: Callable[..., str]) -> None:
    assert refused(batch_key="donor", label_key="type") == (
        "dataset.batch_key=donor is not in obs. "
        "Columns with 2 to 200 values: batch (3), cell_type (2), day (4)\n"
        "dataset.label_key=type is not in obs. "
        "Columns with 2 to 200 values: batch (3), cell_type (2), day (4)"
    )


def test_one_batch_only(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    adata.obs["batch"] = pd.Categorical(["early"] * 60, categories=["early", "late"])
    assert refused().startswith("dataset.batch_key=batch has 1 value only (early), 2 or more are needed. ")


@pytest.mark.parametrize("key", ["batch", "cell_type"])
def test_missing_values(refused: Callable[..., str], adata: anndata.AnnData, key: str) -> None:
    adata.obs.loc[["c3", "c4"], key] = np.nan
    option = {"batch": "dataset.batch_key", "cell_type": "dataset.label_key"}[key]
    said = refused()
    without = "Leave dataset.label_key out, name them" if key == "cell_type" else "Name them"
    assert said == (
        f"{option}={key} has no value in 2 of 60 cells. {without}, or drop them: "
        f'adata = adata[adata.obs["{key}"].notna()].copy()'
    )


@pytest.mark.parametrize("key", ["batch", "cell_type"])
def test_the_remedy_for_missing_values_works(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData, key: str
) -> None:
    adata.obs.loc[["c3", "c4"], key] = np.nan
    assert load(remedied(adata, refused().split(": ")[-1])).n_cells == 58


def test_measurements_are_no_batches(refused: Callable[..., str]) -> None:
    assert re.match(
        r"dataset\.batch_key=score holds measurements \(0\.\d+, \.\.\.\)", refused(batch_key="score")
    )


def test_names_are_no_groups(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    adata.obs["barcode"] = adata.obs_names.to_numpy()
    assert refused(label_key="barcode").startswith(
        "dataset.label_key=barcode has 60 values for 60 cells, so it names no groups. Columns with"
    )


def test_a_batch_of_one_cell_is_welcome(load: Callable[..., Cells], adata: anndata.AnnData) -> None:
    adata.obs["batch"] = ["rest"] * 59 + ["alone"]
    cells = load()
    assert cells.batches == ("alone", "rest")
    assert (cells.library_moments()[1] > 0).all()


# the counts


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (-1, "-1, which is not a count"),
        (0.5, r"0\.5, which is not a count: 1 of its 1,\d+ values above 0 \(0\.\d+ %\) are not whole"),
        (np.log(2), r"0\.6931, which is not a count: 1 of its"),
        (
            0.9999999,
            r"0\.9999998807907104, which is not a count: 1 of its .* are not whole, by 1e-07 at most",
        ),
        (np.nan, r"NaN in 1 of 60 cells and 1 of 30 genes \(g\d+\)"),
        (np.inf, "inf, which is not a count"),
        (-(2**31), "-2147483648, which is not a count"),
        (1e9, "1000000000, and float32 holds whole numbers up to 16,777,216"),
    ],
)
def test_values_that_are_no_counts(
    refused: Callable[..., str], adata: anndata.AnnData, value: float, held: str
) -> None:
    said = refused(entry(adata, value))
    assert re.match(rf"X holds {held}.*\. scVI models raw counts; ", said)
    assert "no matrix of this file holds counts" in said
    assert 'adata.layers["counts"] = adata.X.copy()' in said
    adata.X = adata.X.toarray()
    assert re.match(rf"X holds {held}", refused())


def test_log_normalised_counts_with_layers_that_hold_counts(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData
) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.layers["spliced"] = sp.csc_matrix(adata.X)
    adata.layers["scaled"] = adata.X.toarray() / 3
    adata.layers["zero"] = np.zeros(adata.shape)
    adata.X = np.log1p(adata.X.toarray())
    assert re.fullmatch(
        r"X holds \d\.\d+, which is not a count: [\d,]+ of its [\d,]+ values above 0 \(100 %\) are not whole"
        r"; it looks like log1p of counts, normalised or not"
        r'\. scVI models raw counts; layers that hold counts: "counts" -> dataset\.layer=counts, '
        r'"spliced" -> dataset\.layer=spliced',
        refused(),
    )
    assert load(layer="counts").n_cells == 60
    assert "layers that hold counts" in refused(layer="scaled")
    assert refused(layer="zero").startswith('layers["zero"] holds no counts at all. ')


def test_a_layer_of_any_name_can_be_pasted(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    adata.layers["raw, all"] = adata.X.copy()
    adata.X = np.log1p(adata.X.toarray())
    (typed,) = shlex.split(refused().split(" -> ")[1])
    assert typed == "dataset.layer='raw, all'"


def test_counts_in_x_or_raw(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData
) -> None:
    adata.layers["norm"] = np.log1p(adata.X.toarray())
    assert refused(layer="norm").endswith("X holds counts: leave dataset.layer out")
    adata.raw = adata.copy()
    adata.X = adata.layers["norm"]
    assert refused().endswith("; raw.X holds counts: dataset.layer=raw.X")
    x_ng = adata.raw.X.toarray()
    cells = load(adata[:, 5:].copy(), layer="raw.X")  # raw has the genes that X lost
    assert (cells.counts.toarray() == x_ng).all()
    assert cells.gene_names.tolist() == adata.raw.var_names.tolist()


def test_missing_layer(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    assert refused(layer="counts") == (
        "dataset.layer=counts is not in layers; it has no layers. X holds counts: leave dataset.layer out"
    )
    assert refused(layer="raw.X") == (
        "dataset.layer=raw.X, but it has no raw; it has no layers. X holds counts: leave dataset.layer out"
    )
    adata.layers["umi"] = adata.X
    adata.layers["norm"] = adata.X
    assert "; layers are: norm, umi. " in refused(layer="counts")


def test_missing_x(load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData) -> None:
    adata.layers["umi"] = adata.X
    adata.X = None
    assert refused() == ('has no X; layers are: umi. layers that hold counts: "umi" -> dataset.layer=umi')
    assert load(layer="umi").n_cells == 60


@pytest.mark.parametrize(("cells", "genes"), [(0, 30), (60, 0)])
def test_nothing_left(refused: Callable[..., str], adata: anndata.AnnData, cells: int, genes: int) -> None:
    said = refused(adata[:cells, :genes].copy())
    assert said == f"it holds {cells} cells x {genes} genes. Was everything filtered out?"


def test_too_few_cells(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    assert "19 cells are too few. At least 20 are needed" in refused(adata[:19].copy())


# cells and genes


def remedied(adata: anndata.AnnData, remedy: str) -> anndata.AnnData:
    """Do what the message says, as a user would paste it."""
    names: dict[str, Any] = {"adata": adata, "numpy": np}
    if "scanpy" in remedy:
        names["scanpy"] = pytest.importorskip("scanpy")
    exec(remedy, names)
    changed: anndata.AnnData = names["adata"]
    return changed


@pytest.mark.parametrize("layer", [None, "counts"])
def test_cells_without_counts(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData, layer: str | None
) -> None:
    x_ng = adata.X.toarray()
    x_ng[3:7] = 0
    if layer:
        adata.layers[layer] = sp.csr_matrix(x_ng)
    else:
        adata.X = sp.csr_matrix(x_ng)
    said = refused(layer=layer)
    assert said == "4 cells of 60 without counts (c3, c4, c5, ...). To drop them: dataset.min_counts=1"
    cells = load(layer=layer, min_counts=1)
    assert (cells.n_cells, cells.n_genes) == (56, 30)


def joined(adata: anndata.AnnData, what: str, dense: bool) -> anndata.AnnData:
    """Outer join of the fixture's batches, of which "late" lacked a layer, or genes."""
    if dense:
        adata.X = adata.X.toarray()
    adata.layers["counts"] = adata.X.copy()
    parts = [adata[adata.obs["batch"] == batch].copy() for batch in ("early", "mid", "late")]
    if what == "genes":
        parts[2] = parts[2][:, 5:].copy()
    else:
        del parts[2].layers["counts"]
    return anndata.concat(parts, join="outer")


def test_a_layer_that_an_input_lacked(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData
) -> None:
    said = refused(joined(adata, "layer", dense=False), layer="counts")
    assert said == (
        'layers["counts"] has no counts in any cell of 1 batch (late), 20 of 60 cells in all. An outer join '
        "fills a layer that an input lacked with zeros. Give each input its counts before anndata.concat(...)"
        ': part.layers["counts"] = part.X.copy()'
    )
    said = refused(joined(adata, "layer", dense=True), layer="counts")
    assert said.startswith(
        'layers["counts"] holds NaN in 20 of 60 cells and 30 of 30 genes, in every value of batch late. scVI'
    )
    assert said.endswith("X holds counts: leave dataset.layer out")


def test_inputs_in_different_states(refused: Callable[..., str], adata: anndata.AnnData) -> None:
    x_ng = adata.X.toarray()
    late = (adata.obs["batch"] == "late").to_numpy()
    x_ng[~late] = np.log1p(x_ng[~late])
    adata.X = sp.csr_matrix(x_ng)
    assert re.match(
        r"X holds 1\.609, which is not a count: .* are not whole, but all of batch late are\. scVI models"
        r" raw counts; inputs in different states were joined: give each its counts before\. ",
        refused(),
    )


def test_genes_that_an_input_lacked(
    load: Callable[..., Cells], refused: Callable[..., str], adata: anndata.AnnData
) -> None:
    sparse = load(joined(adata, "genes", dense=False))
    (note,) = sparse.notes
    assert "rates: late in 5 (g0, g1, g2, ...). An outer join fills genes" in note
    said = refused(joined(adata, "genes", dense=True))
    assert said.startswith(
        "X holds NaN in 20 of 60 cells and 5 of 30 genes (g0, g1, g2, ...). scVI models raw counts"
    )
    assert "an outer join fills genes that an input lacked with NaN. Keep those of all: " in said


def test_genes_without_counts_are_kept(load: Callable[..., Cells], adata: anndata.AnnData) -> None:
    x_ng = adata.X.toarray()
    x_ng[:, 3:7] = 0
    adata.X = sp.csr_matrix(x_ng)
    assert (load().counts.toarray() == x_ng).all()


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_repeated_gene_names_become_those_of_anndata(
    load: Callable[..., Cells], adata: anndata.AnnData
) -> None:
    names = list(adata.var_names)
    adata.var_names = [names[0], names[0], "x", "x", "x", *names[5:]]
    cells = load()
    assert cells.notes == (
        "2 gene names more than once in var_names (g0, x): told apart as by adata.var_names_make_unique()",
    )
    adata.var_names_make_unique()
    assert load().gene_names.tolist() == cells.gene_names.tolist() == adata.var_names.tolist()
    assert load().sha256 == cells.sha256
    assert load().notes == ()


@pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore:Suffix used")
def test_repeated_cell_names_become_those_of_anndata(
    load: Callable[..., Cells], adata: anndata.AnnData
) -> None:
    adata.obs_names = ["x", "x", "x-1", "x", *adata.obs_names[4:]]
    cells = load()
    assert cells.cell_names[:5].tolist() == ["x", "x-2", "x-1", "x-3", "c4"]
    adata.obs_names_make_unique()
    assert load().cell_names.tolist() == adata.obs_names.tolist()
    assert load().sha256 == cells.sha256
