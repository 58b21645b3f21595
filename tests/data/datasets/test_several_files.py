"""Files that a pattern matches, as one data set; fractions and filters of one file."""

import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from bie.data.datasets import h5ad
from bie.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, adata: anndata.AnnData) -> Path:
    """The cells of `adata` in three files, in runs of 20."""
    for i, name in enumerate(["c", "a", "b"]):
        adata[20 * i : 20 * (i + 1)].copy().write_h5ad(tmp_path / f"{name}.h5ad")
    return tmp_path


def dense(adata: anndata.AnnData) -> np.ndarray:
    return np.vstack([adata.X.toarray()[20 * i : 20 * (i + 1)] for i in (1, 2, 0)])  # a, b, c


def test_each_file_is_a_batch(folder: Path, adata, h5ad_settings):
    cells = h5ad.load(h5ad_settings(path=folder / "*.h5ad", batch_key="file"))
    assert cells.batches == ("a", "b", "c")
    np.testing.assert_array_equal(cells.batch, np.repeat([0, 1, 2], 20))
    np.testing.assert_array_equal(cells.counts.toarray(), dense(adata))
    assert cells.label is not None
    assert [cells.labels[code] for code in cells.label[:2]] == ["T", "B"]


def test_a_column_goes_through_all_files(folder: Path, adata, h5ad_settings):
    cells = h5ad.load(h5ad_settings(path=folder / "[ab].h5ad", batch_key="batch"))
    assert cells.batches == ("early", "late", "mid")
    expected = adata.obs["batch"].to_numpy()[20:60]
    np.testing.assert_array_equal(np.asarray(cells.batches)[cells.batch], expected)


def test_files_of_one_name_are_told_apart_by_their_folders(folder: Path, adata, h5ad_settings):
    for sample in ("s1", "s2"):
        (folder / sample).mkdir()
        adata.write_h5ad(folder / sample / "filtered.h5ad")
    cells = h5ad.load(h5ad_settings(path=folder / "s*" / "*.h5ad", batch_key="file"))
    assert cells.batches == ("s1/filtered", "s2/filtered")
    assert len(set(cells.cell_names)) == 120


def test_a_file_and_a_store_of_one_name_are_two_batches(folder: Path, adata, h5ad_settings):
    adata.write_h5ad(folder / "a.copy")
    cells = h5ad.load(h5ad_settings(path=folder / "[ab].[ch]*", batch_key="file"))
    assert cells.batches == ("a.copy", "a.h5ad", "b.h5ad")


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ([7.0, 8.0], [7.0, 8.5], ("7.0", "8.0", "8.5")),
        ([7, 8], [7.0, 8.5], ("7.0", "8.0", "8.5")),
        (pd.Categorical([7, 8]), [7.0, 8.5], ("7.0", "8.0", "8.5")),
        ([7, 8], [7.0, 9.0], ("7", "8", "9")),
        (["7", "8"], [7, 9], ("7", "8", "9")),
        (np.array([0.1, 7.0], np.float32), [0.1, 7.0], ("0.1", "7.0")),
    ],
)
def test_a_number_is_one_batch_in_all_files(one, other, names, adata, h5ad_settings, tmp_path: Path):
    """Whether it has a fraction is a matter of the whole column, not of the file."""
    for name, (first, second) in {"a": one, "b": other}.items():
        part = adata[:40].copy()
        part.obs["day"] = pd.Series([first, second] * 20, index=part.obs_names)
        part.write_h5ad(tmp_path / f"{name}.h5ad")
    cells = h5ad.load(h5ad_settings(path=tmp_path / "*.h5ad", batch_key="day"))
    assert cells.batches == names
    np.testing.assert_array_equal(cells.batch[:40], [0, 1] * 20)


def test_genes_are_those_that_all_files_have(folder: Path, adata, h5ad_settings):
    adata[:20, [*range(20, 30), *range(15)]].copy().write_h5ad(folder / "c.h5ad")
    cells = h5ad.load(h5ad_settings(path=folder / "*.h5ad", batch_key="file"))
    kept = [*range(15), *range(20, 30)]
    assert cells.gene_names.tolist() == [f"g{g}" for g in kept]
    np.testing.assert_array_equal(cells.counts.toarray(), dense(adata)[:, kept])


def test_files_that_name_their_genes_differently_are_said(folder: Path, adata, h5ad_settings):
    other = adata[:20].copy()
    other.var_names = [f"ENSG{g}" for g in range(30)]
    other.write_h5ad(folder / "c.h5ad")
    with pytest.raises(BadInput, match=r"a\.h5ad: 0 of its 30 genes are in all .*g0, g1, .*c\.h5ad: ENSG0"):
        h5ad.load(h5ad_settings(path=folder / "*.h5ad", batch_key="file"))


@pytest.mark.parametrize(
    ("pattern", "key", "said"),
    [
        ("*.zarr", "file", r"matches 0 files"),
        ("a*.h5ad", "file", r"matches 1 files"),
        ("*.h5ad", "donor", r"c?\.h5ad: dataset\.batch_key=donor is not in obs"),
        (
            "*.h5ad",
            "one",
            r"dataset\.batch_key=one has one value in all files \(x\).*dataset\.batch_key=file",
        ),
    ],
)
def test_a_pattern_that_cannot_be_used(pattern, key, said, folder: Path, adata, h5ad_settings):
    for i, name in enumerate(["c", "a", "b"]):
        part = adata[20 * i : 20 * (i + 1)].copy()
        part.obs["one"] = "x"
        part.write_h5ad(folder / f"{name}.h5ad")
    with pytest.raises(BadInput, match=said):
        h5ad.load(h5ad_settings(path=folder / pattern, batch_key=key))


@pytest.mark.parametrize("dense_matrix", [False, True])
def test_fractions_by_choice(dense_matrix, adata, h5ad_settings, tmp_path: Path):
    counts = adata.X.toarray()
    estimated = np.where(counts > 0, counts + 0.25, 0).astype(np.float32)
    adata.X = estimated if dense_matrix else sp.csr_matrix(estimated)
    adata.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(BadInput, match=r"X holds \d\.25"):
        h5ad.load(h5ad_settings())
    rounded, kept = (h5ad.load(h5ad_settings(fractional=x)) for x in ("round", "keep"))
    np.testing.assert_array_equal(rounded.counts.toarray(), counts)
    np.testing.assert_array_equal(kept.counts.toarray(), estimated)
    n = int((counts > 0).sum())
    said = f"X: dataset.fractional=round changed {n:,} of its {n:,} values above 0 (100 %), 0 of them to 0"
    assert said in next(iter(rounded.notes))
    assert not any("round" in note for note in kept.notes)


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_normalised_counts_are_not_rounded(form, logged, h5ad_settings, tmp_path: Path):
    counts = np.random.default_rng(0).poisson(2, (60, 40))
    scaled = counts / counts.sum(axis=1, keepdims=True) * 1e4
    values = form((np.log1p(scaled) if logged else scaled).astype(np.float32))
    obs = pd.DataFrame({"batch": ["a", "b"] * 30}, index=[f"c{i}" for i in range(60)])
    anndata.AnnData(values, obs=obs).write_h5ad(tmp_path / "data.h5ad")
    kind = "log1p of counts, normalised or not" if logged else "normalised counts"
    with pytest.raises(BadInput, match=re.escape(f"X looks like {kind}: rounding would not give")):
        h5ad.load(h5ad_settings(fractional="round", label_key=None))
    if form is not sp.csc_matrix:
        with pytest.raises(
            BadInput, match=re.escape(f"are not whole; it looks like {kind}. scVI models raw counts")
        ):
            h5ad.load(h5ad_settings(label_key=None))


@pytest.mark.parametrize("order", [np.arange(500), np.arange(500) * 7 % 500])
@pytest.mark.parametrize("logged", [False, True])
def test_counts_joined_with_normalised_ones_are_not_rounded(logged, order, h5ad_settings, tmp_path: Path):
    counts = np.random.default_rng(0).poisson(2, (500, 40)).astype(np.float64)
    scaled = counts[300:] / counts[300:].sum(axis=1, keepdims=True) * 1e4
    counts[300:] = np.log1p(scaled) if logged else scaled
    obs = pd.DataFrame({"batch": np.repeat(["a", "b"], [300, 200])}, index=[f"c{i}" for i in range(500)])
    joined = anndata.AnnData(sp.csr_matrix(counts.astype(np.float32)), obs=obs)
    joined[order].copy().write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(BadInput, match=r"X looks like .*: rounding would not give"):
        h5ad.load(h5ad_settings(fractional="round", label_key=None))


@pytest.mark.parametrize("policy", ["refuse", "round", "keep"])
def test_what_is_below_zero_is_no_count_whatever_the_choice(policy, adata, h5ad_settings, tmp_path: Path):
    adata.X.data[3] = -0.3
    adata.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(BadInput, match=r"X holds -0\.3, which is not a count"):
        h5ad.load(h5ad_settings(fractional=policy))


def test_cells_and_genes_are_left_out_as_by_scanpy(adata, h5ad_settings, tmp_path: Path):
    import scanpy

    thin = np.random.default_rng(0).random((60, 30)) < 0.15
    adata.X = sp.csr_matrix(thin.astype(np.float32))
    adata.write_h5ad(tmp_path / "data.h5ad")
    cells = h5ad.load(h5ad_settings(min_counts=4, min_cells=8))
    scanpy.pp.filter_cells(adata, min_counts=4)
    scanpy.pp.filter_genes(adata, min_cells=8)
    assert 20 <= adata.n_obs < 60
    assert adata.n_vars < 30
    np.testing.assert_array_equal(cells.counts.toarray(), adata.X.toarray())
    assert cells.cell_names.tolist() == adata.obs_names.tolist()
    named = np.asarray(cells.labels)[cells.label]
    np.testing.assert_array_equal(named, adata.obs["cell_type"].to_numpy())


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (
            {"min_counts": 900},
            r"min_counts=900 leaves no cell of 1 batch \(mid\), whose cells have 44 counts at",
        ),
        (
            {"min_cells": 61},
            r"min_cells=61 leaves none of 30 genes; the most frequent has counts in 59 cells\. Low",
        ),
        (
            {"min_cells": 5},
            r"min_cells=5 leaves 1 of 60 cells without a count\. Lower it, or raise .*min_counts",
        ),
    ],
)
def test_filters_that_leave_too_little_say_which(filters, said, adata, h5ad_settings, tmp_path: Path):
    """And not that the file was joined badly, or how to drop what no filter can."""
    counts = 1 + np.arange(1800).reshape(60, 30) % 2.0
    counts[:, 0] = 0
    counts[0] = np.eye(30)[0]
    counts[adata.obs["batch"] != "mid"] *= 900
    counts[40, 0] = counts[50, 1] = 1
    adata.X = sp.csr_matrix(counts.astype(np.float32))
    adata.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(BadInput, match=said):
        h5ad.load(h5ad_settings(**filters))


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_genes_of_one_name_in_several_files_go_by_their_order_and_that_is_said(
    folder: Path, adata, h5ad_settings
):
    """File b has them the other way round: nothing but this note tells that two genes were put together."""
    names = adata.var_names.tolist()
    names[1] = names[0]
    turned = np.array([1, 0, *range(2, adata.n_vars)])
    for name, order in (("a", slice(None)), ("b", turned)):
        part = anndata.read_h5ad(folder / f"{name}.h5ad")
        part.var_names = names
        part[:, order].copy().write_h5ad(folder / f"{name}.h5ad")
    cells = h5ad.load(h5ad_settings(path=folder / "[ab].h5ad", batch_key="file"))
    np.testing.assert_array_equal(cells.counts.toarray()[20:], dense(adata)[20:40][:, turned])
    assert any("by the order in each file, which has to be one for all" in note for note in cells.notes)
