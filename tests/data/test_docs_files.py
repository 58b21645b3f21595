"""Every row of the table in docs/files.md: the file is made, the command typed, the answer is that line."""

import gzip
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from bie import plan
from bie.data.__main__ import main as data

DOCS = Path(__file__).parents[2] / "docs" / "files.md"
TEXT = h5py.string_dtype()
N, G = 240, 50
R_MISSING = -(2**31)

Obs = dict[str, Any]
Capture = pytest.CaptureFixture[str]


def counts(n: int = N, g: int = G) -> np.ndarray:
    """1 to 5 of each gene in each cell, and some more of the first."""
    x_ng = 1 + np.add.outer(7 * np.arange(n), 3 * np.arange(g)) % 5
    x_ng[:, 0] += np.arange(n) % 5
    return x_ng.astype(np.float32)


def cells(x_ng: Any = None, **columns: Any) -> anndata.AnnData:
    """Two batches of 120 cells, three cell types in each; other columns beside or instead."""
    x_ng = counts() if x_ng is None else x_ng
    n, g = x_ng.shape
    plain = {
        "batch": np.array(["a", "b"])[np.arange(n) % 2],
        "cell_type": np.array(["A", "B", "C"])[np.arange(n) % 3],
    }
    kept = {key: values for key, values in (plain | columns).items() if values is not None}
    obs = pd.DataFrame(kept, [f"c{i}" for i in range(n)])
    return anndata.AnnData(x_ng, obs, pd.DataFrame(index=[f"g{i}" for i in range(g)]))


def sparse(x_ng: Any = None) -> sp.csr_matrix:
    return sp.csr_matrix(counts() if x_ng is None else x_ng)


def changed(path: Path, change: Callable[[h5py.File], Any], adata: anndata.AnnData | None = None) -> None:
    """Write an AnnData and then change the file by hand."""
    (cells(sparse()) if adata is None else adata).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        change(file)


def put(file: h5py.File, at: str, matrix: sp.csr_matrix) -> None:
    file.pop(at, None)
    group = file.create_group(at)
    group.attrs.update({"encoding-type": "csr_matrix", "shape": matrix.shape})
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(matrix, part)


def put_column(obs: h5py.Group, key: str, values: Any) -> None:
    obs.pop(key, None)
    obs[key] = values


def put_pointer(indptr: h5py.Dataset, place: int, value: int) -> None:
    indptr[place] = value


def unknown(node: h5py.HLObject) -> None:
    node.attrs["encoding-type"] = "future-array"


def seuratdisk(path: Path) -> None:
    """X log-normalised, counts in raw, factors as numbers."""

    def change(file: h5py.File) -> None:
        put(file, "raw/X", sparse())
        file.copy("var", "raw/var")
        for key, n in (("orig.ident", 2), ("seurat_clusters", 4), ("cell_type", 3)):
            put_column(file["obs"], key, (np.arange(N) % n).astype(np.int32))

    columns = {key: np.arange(N) for key in ("orig.ident", "seurat_clusters")}
    changed(path, change, cells(sparse(np.log1p(counts())), batch=None, **columns))


def seuratdisk_missing(path: Path) -> None:
    """Levels beside the table; five missing codes."""

    def change(file: h5py.File) -> None:
        codes = np.where(np.arange(N) < 5, R_MISSING, np.arange(N) % 2).astype(np.int32)
        put_column(file["obs"], "batch", codes)
        file["obs"].create_dataset("__categories/batch", data=["early", "late"], dtype=TEXT)

    changed(path, change)


def census(path: Path) -> None:
    """After the schema of CELLxGENE."""
    donor = np.arange(N) % 4
    columns: Obs = {
        "batch": None,
        "assay_ontology_term_id": np.array(["EFO:0009922", "EFO:0009899"])[donor % 2],
        "cell_type_ontology_term_id": np.array(["CL:0000084", "CL:0000236", "CL:0000576"])[np.arange(N) % 3],
        "is_primary_data": donor < 3,
        "leiden": np.arange(N) // 7 % 6,
        "donor_id": np.array(["D-1", "D-2", "D-3", "D-4"])[donor],
        "assay": np.array(["10x 3' v3", "10x 3' v2"])[donor % 2],
    }
    adata = cells(sparse(), **columns)
    adata.raw = adata.copy()
    adata.X = sparse(np.log1p(counts()))
    adata.write_h5ad(path)


def only_raw(path: Path) -> None:
    adata = cells(sparse())
    adata.raw = adata.copy()
    adata = adata[:, :20].copy()
    adata.X = None
    adata.write_h5ad(path)


def joined(path: Path, dense: bool, layer: bool) -> None:
    """Outer join of two inputs, of which the second lacks a layer, or each some genes."""
    adata = cells(counts() if dense else sparse())
    if layer:
        adata.layers["counts"] = adata.X.copy()
        adata.X = np.log1p(adata.X) if dense else adata.X.log1p()
    one, other = (adata[adata.obs["batch"] == batch].copy() for batch in ("a", "b"))
    if layer:
        del other.layers["counts"]
    else:
        one, other = one[:, :45].copy(), other[:, 5:].copy()
    anndata.concat([one, other], join="outer").write_h5ad(path)


def layered(path: Path, x_ng: Any, **layers: Any) -> None:
    adata = cells(x_ng)
    for name, layer in layers.items():
        adata.layers[name] = layer
    adata.write_h5ad(path)


def slashed(path: Path, x_ng: np.ndarray, layer: str, matrix: np.ndarray) -> None:
    """AnnData itself warns of a slash, and later versions will refuse it."""
    columns = {"chip/lane": np.array(["1/a", "1/b"])[np.arange(N) % 2]}
    changed(path, lambda file: put(file, f"layers/{layer}", sparse(matrix)), cells(sparse(x_ng)))
    with h5py.File(path, "r+") as file:
        file["obs"].create_dataset("chip/lane", data=columns["chip/lane"].astype(object), dtype=TEXT)


def packed(path: Path) -> None:
    inner = path.with_name("inside.h5ad")
    cells().write_h5ad(inner)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(inner.read_bytes()))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(inner, "plain.h5ad")
    inner.unlink()


def lost_chunk(path: Path) -> None:
    """A store that was not copied whole."""
    cells(sparse()).write_zarr(path)
    next(chunk for chunk in (path / "X/indices").rglob("*") if chunk.name == "0").unlink()


def sharded(path: Path) -> None:
    """The last shard is not full."""

    def write(func: Any, store: Any, key: str, elem: Any, *, dataset_kwargs: Any, iospec: Any) -> None:
        parts = {"chunks": (500,), "shards": (5000,)} if isinstance(elem, sp.csr_matrix) else {}
        func(store, key, elem, dataset_kwargs=dict(dataset_kwargs) | parts)

    group = zarr.open_group(path, mode="w", zarr_format=3)
    anndata.experimental.write_dispatched(group, "/", cells(sparse()), callback=write)


def mudata(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "MuData"
        for name in ("prot", "rna"):
            anndata.io.write_elem(file.require_group("mod"), name, cells(batch=None))


def tenx(path: Path) -> None:
    with h5py.File(path, "w") as file:
        put(file, "matrix", sp.csr_matrix(counts().T))
        file.create_dataset("matrix/barcodes", data=[f"c{i}" for i in range(N)], dtype=TEXT)


def loom(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["matrix"] = counts().T
        file.create_group("row_attrs")
        file.create_group("col_attrs")


def cut(path: Path) -> None:
    cells().write_h5ad(path)
    path.write_bytes(path.read_bytes()[:9000])


DAYS = np.array([7.75, 7.5, 8.5])[np.arange(N) % 3]
EM = counts()
EM[::7, 3] += np.float32(1 / 3)
SOUP = counts() * np.float32(0.9)
ALMOST = counts()
ALMOST[5, 7] = np.float32(2.9999998)
RARE = np.array(["A", "B", "C"], object)[np.arange(N) // 2 % 3]
RARE[0], RARE[[1, 3]] = "D", "E"
SCORE = np.linspace(0, 1, N)
SHORT = np.arange(200) % 2

FILES: dict[str, Callable[[Path], Any]] = {
    "zellkonverter.h5ad": lambda path: cells(
        batch=None, donor=np.where(np.arange(N) < 5, R_MISSING, 1 + np.arange(N) % 2).astype(np.int32)
    ).write_h5ad(path),
    "seurat_factor.h5ad": seuratdisk_missing,
    "seurat.h5ad": seuratdisk,
    "census.h5ad": census,
    "only_raw.h5ad": only_raw,
    "days.h5ad": lambda path: cells(batch=None, day=DAYS, dose=pd.Categorical(DAYS / 10)).write_h5ad(path),
    "alevin.h5ad": lambda path: cells(sparse(EM)).write_h5ad(path),
    "soupx.h5ad": lambda path: cells(sparse(SOUP)).write_h5ad(path),
    "both.h5ad": lambda path: layered(path, sparse(SOUP), counts=sparse()),
    "almost_whole.h5ad": lambda path: cells(ALMOST).write_h5ad(path),
    "normalised.h5ad": lambda path: cells(np.log1p(counts())).write_h5ad(path),
    "float16.h5ad": lambda path: changed(
        path, lambda file: (file.pop("X"), file.create_dataset("X", data=counts().astype(np.float16)))
    ),
    "outer_sparse.h5ad": lambda path: joined(path, dense=False, layer=False),
    "outer_dense.h5ad": lambda path: joined(path, dense=True, layer=False),
    "outer_layer.h5ad": lambda path: joined(path, dense=False, layer=True),
    "outer_layer_dense.h5ad": lambda path: joined(path, dense=True, layer=True),
    "fewer_genes.h5ad": lambda path: changed(path, lambda file: put(file, "X", sparse(counts()[:, :40]))),
    "more_rows.h5ad": lambda path: changed(path, lambda file: put(file, "X", sparse(counts(n=250)))),
    "short_column.h5ad": lambda path: changed(path, lambda file: put_column(file["obs"], "batch", SHORT)),
    "pointers.h5ad": lambda path: changed(path, lambda file: put_pointer(file["X/indptr"], 3, 9000)),
    "counts_in_layer.h5ad": lambda path: slashed(path, np.log1p(counts()), "raw/counts", counts()),
    "layer.h5ad": lambda path: slashed(path, counts(), "norm/log1p", np.log1p(counts())),
    "obs_column.h5ad": lambda path: changed(
        path, lambda file: unknown(file["obs/score"]), cells(score=SCORE)
    ),
    "x.h5ad": lambda path: changed(path, lambda file: unknown(file["X"])),
    "gone.h5ad": lambda path: changed(path, lambda file: file.pop("obs/score"), cells(score=SCORE)),
    "index_gone.h5ad": lambda path: changed(path, lambda file: file.pop("obs/_index")),
    "odd.h5ad": lambda path: cells(**{"batch": None, "donor's ${id}": np.arange(N) % 2}).write_h5ad(path),
    "rare.h5ad": lambda path: cells(cell_type=RARE).write_h5ad(path),
    "confounded.h5ad": lambda path: cells(cell_type=np.array(["A", "B"])[np.arange(N) % 2]).write_h5ad(path),
    "two_protocols.h5ad": lambda path: cells(
        sparse(counts() * np.where(np.arange(N) % 2, 1, 350)[:, None])
    ).write_h5ad(path),
    "labels.h5ad": lambda path: cells(
        cell_type=pd.Series(["A", "B"] * (N // 2)).mask(np.arange(N) < 7).to_numpy()
    ).write_h5ad(path),
    "plain.h5ad.gz": packed,
    "plain.h5ad.zip": packed,
    "plain.zarr": lambda path: cells().write_zarr(path),
    "sharded.zarr": sharded,
    "part.zarr": lost_chunk,
    "page.h5ad": lambda path: path.write_text("<!DOCTYPE html><html>Sign in to download</html>\n"),
    "pointer.h5ad": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "seurat.rds": lambda path: path.write_bytes(gzip.compress(b"X\n\0\0\0\3\0\4\2\2")),
    "two.h5mu": mudata,
    "tenx.h5": tenx,
    "cells.loom": loom,
    "cut.h5ad": cut,
    "locked.h5ad": lambda path: cells().write_h5ad(path),
}


class Row(NamedTuple):
    typed: str
    answer: str

    @property
    def file(self) -> str:
        """The file that the command names, which is in the table under that name."""
        return next(name for name in sorted(FILES, key=len, reverse=True) if name in self.typed)


def rows() -> list[Row]:
    found = re.findall(r"^\|[^|]*\| `(bie [^|]*)` \| `+ ?(.*?) ?`+ \|$", DOCS.read_text(), re.M)
    return [Row(typed, answer) for typed, answer in found]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the file open for writing."""
    code = f"import h5py; f = h5py.File({str(path)!r}, 'r+'); print('held', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield
        holder.communicate("\n")


def answer(typed: str, capsys: Capture) -> str:
    """The one line: of an error; a note; else of `describe` the last, of `plan` the first."""
    _, verb, *words = shlex.split(typed)
    code = data(words) if verb == "data" else plan.main(words)
    captured = capsys.readouterr()
    assert code == (2 if captured.err else 0)
    lines = (captured.err or captured.out).splitlines()
    assert len(lines) == 1 or not captured.err
    notes = [line.strip() for line in lines if line.strip().startswith("note: ")]
    return (notes or [lines[0 if captured.err or verb == "plan" else -1].strip()])[0]


def test_every_file_has_a_row() -> None:
    assert {row.file for row in rows()} == set(FILES)


@pytest.mark.filterwarnings("ignore::anndata._warnings.OldFormatWarning", "ignore:.*zarr v[23]")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.typed)
def test_the_answer(row: Row, in_tmp: Path, capsys: Capture) -> None:
    path = in_tmp / row.file
    FILES[row.file](path)
    if row.file == "locked.h5ad":
        with held(path):
            said = answer(row.typed, capsys)
    else:
        said = answer(row.typed, capsys)
    assert said == row.answer if not row.answer.endswith("...") else said.startswith(row.answer[:-3])
