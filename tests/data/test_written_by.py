"""The same cells as anndata 0.7, 0.10 and 0.13 write them, and zarr stores of both versions, read alike."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bie.data.anndata_file import opened
from bie.data.datasets import h5ad
from bie.data.datasets.h5ad import H5ad
from bie.errors import BadInput

FOLDER = Path(__file__).parent / "written_by"
NAMES = ["anndata_0.7.8.h5ad", "anndata_0.10.9.h5ad", "anndata_0.13.4.h5ad", "anndata_0.13.4.zarr"]
N, G = 12, 6
COUNTS = np.arange(N * G).reshape(N, G) % 5


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The committed file; a store is unpacked."""
    name: str = request.param
    if not name.endswith(".zarr"):
        return FOLDER / name
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as packed:
        packed.extractall(tmp_path / name)
    return tmp_path / name


def settings(path: Path, **changes: object) -> H5ad:
    plain = {"source": "h5ad", "name": "h5ad", "path": path, "layer": "raw.X", "batch_key": "batch"}
    return H5ad.model_validate(plain | {"label_key": "donor"} | changes)


def load(path: Path, monkeypatch: pytest.MonkeyPatch, **changes: object):
    monkeypatch.setattr("bie.data.checks.MIN_CELLS", N)
    return h5ad.load(settings(path, **changes))


@pytest.mark.parametrize("layer", ["raw.X", "counts"])
def test_counts_and_names_are_the_same(layer: str, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bie.data.checks._empty_cells", lambda *_: [])
    cells = load(path, monkeypatch, layer=layer)
    np.testing.assert_array_equal(cells.counts.toarray(), COUNTS)
    assert cells.batches == ("early", "late")
    np.testing.assert_array_equal(cells.batch, 1 - np.arange(N) % 2)
    assert cells.labels == ("d0", "d1", "d2")
    assert cells.gene_names.tolist() == [f"g{g}" for g in range(G)]
    assert cells.cell_names[-1] == "c11"


@pytest.mark.parametrize(
    ("key", "values"),
    [("site", ["N", "S"] * 6), ("plate", [1, 2, 3] * 4), ("well", np.repeat(range(4), 3).tolist())],
)
def test_columns_are_the_same(key: str, values: list[object], path: Path):
    with opened(path) as file:
        assert file.obs[key].tolist() == values


@pytest.mark.parametrize("name", NAMES[2:])
def test_missing_text_is_missing(name: str, request: pytest.FixtureRequest, tmp_path: Path):
    path = FOLDER / name
    if name.endswith(".zarr"):
        path = tmp_path / name
        with zipfile.ZipFile(FOLDER / f"{name}.zip") as packed:
            packed.extractall(path)
    with opened(path) as file:
        column = file.obs["partly"]
    assert column.isna().tolist() == [False, True, False] * 4
    assert column[~column.isna()].tolist() == ["x", "y"] * 4


def test_the_store_is_sharded():
    with zipfile.ZipFile(FOLDER / "anndata_0.13.4.zarr.zip") as packed:
        assert b"sharding_indexed" in packed.read("layers/counts/data/zarr.json")


@pytest.mark.filterwarnings("ignore")  # zarr's, of what it writes
@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_store_is_read_like_a_file(version, adata, h5ad_settings, tmp_path: Path):
    import anndata

    adata.raw = adata.copy()
    adata.write_h5ad(tmp_path / "data.h5ad")
    anndata.settings.zarr_write_format = version
    try:
        adata.write_zarr(tmp_path / "data.zarr")
    finally:
        anndata.settings.reset("zarr_write_format")
    assert (tmp_path / "data.zarr" / {2: ".zgroup", 3: "zarr.json"}[version]).exists()
    for layer in (None, "raw.X"):
        from_file, from_store = (
            h5ad.load(h5ad_settings(path=tmp_path / name, layer=layer)) for name in ("data.h5ad", "data.zarr")
        )
        assert from_store.sha256 == from_file.sha256


def test_a_torn_store_is_said_in_a_line(tmp_path: Path, h5ad_settings):
    store = tmp_path / "x.zarr"
    with zipfile.ZipFile(FOLDER / "anndata_0.13.4.zarr.zip") as packed:
        packed.extractall(store)
    shutil.rmtree(store / "obs")
    with pytest.raises(BadInput, match=r"x\.zarr: this zarr store holds no AnnData: obs or var .* Copy it"):
        h5ad.load(h5ad_settings(path=store))
    (store / "zarr.json").write_text("{")
    with pytest.raises(BadInput, match=r"x\.zarr cannot be read, it may be damaged"):
        h5ad.load(h5ad_settings(path=store))


@pytest.mark.filterwarnings("ignore")  # zarr's, of what it writes
@pytest.mark.parametrize("part", ["indices", "indptr"])
def test_a_chunk_that_was_not_copied_is_said(part: str, adata, h5ad_settings, tmp_path: Path):
    """Libraries read it as zeros: counts of the right sum, in one gene or one cell."""
    store = tmp_path / "data.zarr"
    adata.write_zarr(store)
    chunk = next(path for path in (store / "X" / part).rglob("*") if path.name == "0")
    chunk.unlink()
    with pytest.raises(BadInput, match=rf"X: of 1 chunks of its {part} 1 are not in the store, and would be"):
        h5ad.load(h5ad_settings(path=store))


@pytest.mark.filterwarnings("ignore")  # zarr's, of what it writes
def test_shards_that_the_matrix_does_not_fill(adata, h5ad_settings, tmp_path: Path):
    """Of the last one, most chunks lie beyond the end; all the same a shard that is not there is said."""
    import anndata
    import zarr

    store = tmp_path / "data.zarr"
    adata.write_h5ad(tmp_path / "data.h5ad")
    group: Any = zarr.open_group(store, mode="w", zarr_format=3)
    anndata.io.write_elem(group, "/", adata)
    for part in ("data", "indices"):
        del group["X"][part]
        values = getattr(adata.X, part)
        group["X"].create_array(part, shape=values.shape, dtype=values.dtype, chunks=(100,), shards=(400,))
        group["X"][part][:] = values
    from_store = h5ad.load(h5ad_settings(path=store))
    assert from_store.sha256 == h5ad.load(h5ad_settings()).sha256
    shards = sorted(path for path in (store / "X/data/c").iterdir())
    assert len(shards) == -(-adata.X.nnz // 400)
    assert adata.X.nnz % 400 <= 300
    shards[0].unlink()
    with pytest.raises(BadInput, match=r"X: of 16 chunks of its data 4 are not in the store"):
        h5ad.load(h5ad_settings(path=store))


@pytest.mark.filterwarnings("ignore")  # zarr's, of what it writes
@pytest.mark.parametrize("table", ["obs", "var"])
def test_names_that_were_not_copied_are_said(table: str, adata, h5ad_settings, tmp_path: Path):
    """Libraries read them as blanks."""
    store = tmp_path / "data.zarr"
    adata.write_zarr(store)
    index = store / table / "_index"
    next(
        path for path in [index / "0", *index.rglob("values/0"), *index.rglob("c/0")] if path.exists()
    ).unlink()
    with pytest.raises(BadInput, match=f"{table}/_index is not whole in this store. Copy the store again"):
        h5ad.load(h5ad_settings(path=store))


@pytest.mark.filterwarnings("ignore")  # zarr's, of what it writes
def test_a_chunk_of_a_dense_matrix_that_is_not_there_is_noted(adata, h5ad_settings, tmp_path: Path):
    """It may have held zeros alone, which a store leaves out."""
    import zarr

    store = tmp_path / "data.zarr"
    adata.write_zarr(store)
    group: Any = zarr.open_group(store, mode="r+")
    del group["X"]
    group.create_array("X", shape=adata.shape, dtype="f4", chunks=(20, 10))[:] = adata.X.toarray()
    assert not any("chunks" in note for note in h5ad.load(h5ad_settings(path=store)).notes)
    chunks = [store / "X/0.0", store / "X/c/0/0"]  # of zarr 2, of zarr 3
    next(path for path in chunks if path.exists()).unlink()
    notes = h5ad.load(h5ad_settings(path=store)).notes
    assert any("X: 1 of its 9 chunks are not in the store: read as zeros. If they" in note for note in notes)
