"""What comes instead of an .h5ad: each is named, and the one line that is given makes an .h5ad of it."""

import gzip
import shlex
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from bie.data.anndata_file import opened
from bie.errors import BadInput

TEXT = h5py.string_dtype()


def refusal(path: Path) -> str:
    """The one line that says what the file is, without its path."""
    with pytest.raises(BadInput) as caught, opened(path):
        pass
    said = str(caught.value)
    assert said.startswith(f"{path}: it ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


def follow(said: str) -> None:
    """Do what the line says, as a user would paste it."""
    command = (
        said.split(". ", 1)[1].split(": ")[-1] if "python -c" not in said else said[said.index("python") :]
    )
    words = shlex.split(command)
    if words[:2] == ["python", "-c"]:  # here, where its libraries are loaded
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # others' of old formats
            patch.setattr(sys, "argv", words[1:2] + words[3:])
            exec(words[2], {"__name__": "__main__"})
        return
    words = [sys.executable if word == "python" else word for word in words]
    subprocess.run(words, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty (0 bytes). "),
        (b"batch,gene\n1,2\n", "it (15 bytes) is not an .h5ad file, but a table in text. Write one: "),
        (b"gene\tc1\tc2\n", "it (11 bytes) is not an .h5ad file, but a table in text. "),
        (b"hello", "it (5 bytes) is not an .h5ad file, but plain text. "),
        (
            b"\0" * 600,
            "it (600 bytes) is not an .h5ad file, but of another kind, or the beginning of it is damaged",
        ),
        (b"<!DOCTYPE html><html></html>", "it is a web page or an XML message, saved under this name. "),
        (
            b"\xef\xbb\xbf\n <?xml version='1.0'?><Error>AccessDenied</Error>",
            "it is a web page or an XML message",
        ),
        (b'{"message": "Not Found"}', "it (24 bytes) is JSON text, perhaps the message of a server. "),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "it is a pointer of git-lfs, not the file",
        ),
        (b"%%MatrixMarket matrix coordinate integer general\n", "it is the matrix of a 10x sample, "),
        (b"BZh91AY", "it is compressed by bzip2. bunzip2 -k "),
        (b"\xfd7zXZ\0\0", "it is compressed by xz. unxz -k "),
        (b"\x28\xb5\x2f\xfd\0", "it is compressed by zstd. unzstd "),
        (b"PAR1\0\0", "it is a table of Parquet. "),
        (b"%PDF-1.7", "it is a PDF document. "),
        (b"\x1f\x8b\x08\0broken", "it is compressed by gzip, and damaged or incomplete. Download it again"),
        (gzip.compress(b"RDX3\nX\n", mtime=0), "it is an image of R. In R: anndataR::write_h5ad(get(load("),
        (
            b"/annex/objects/SHA256E-s1--a.h5ad\n",
            "it is a pointer of git-annex, not the file. In its reposit",
        ),
        (gzip.compress(b"X\n\0\0\0\3", mtime=0), "it is an object of R. In R: anndataR::write_h5ad(readRDS("),
        (b"\0" * 257 + b"ustar\0", "it is a tar archive. Unpack it: tar -xf "),
        (gzip.compress(b"\0" * 257 + b"ustar\0", mtime=0), "it is a tar archive. Unpack it: tar -xzf "),
    ],
)
def test_files_that_are_no_hdf5(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "my data.h5ad"
    path.write_bytes(content)
    assert refusal(path).startswith(said)


@pytest.fixture
def plain(adata: anndata.AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "it's mine.h5ad"
    adata.write_h5ad(path)
    return path


def same(path: Path) -> bool:
    with opened(path) as file:
        return file.size == "60 cells x 30 genes"


def test_gzip(plain: Path) -> None:
    packed = plain.with_name("packed.h5ad.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    said = refusal(packed)
    assert said == f"it is compressed by gzip. gunzip -k {packed}"
    follow(said)
    assert same(plain.with_name("packed.h5ad"))


def test_gzip_under_the_name_of_what_is_in_it(plain: Path) -> None:
    packed = plain.with_name("packed.h5ad")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    said = refusal(packed)
    subprocess.run(said.split(". ", 1)[1], shell=True, check=True)
    assert same(plain.with_name("unpacked_packed.h5ad"))


def test_zip(plain: Path) -> None:
    packed = plain.with_name("packed.h5ad.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(plain, "deep/inside.h5ad")
        archive.writestr("readme.txt", "hello")
    said = refusal(packed)
    assert said.startswith("it is a zip archive of deep/inside.h5ad. python -m zipfile -e ")
    follow(said)
    assert same(plain.parent / "deep" / "inside.h5ad")


def test_tables_of_before_0_7(plain: Path) -> None:
    def flat(file: h5py.File) -> None:
        for table, n in (("obs", 60), ("var", 30)):
            del file[table]
            rows = np.array(
                [(f"{table}{i}".encode(), i % 2) for i in range(n)], [("index", "S9"), ("batch", "i4")]
            )
            file[table] = rows

    with h5py.File(plain, "r+") as file:
        flat(file)
    said = refusal(plain)
    assert said.startswith("it is an AnnData of before version 0.7, with flat tables. python -c ")
    follow(said)
    with opened(plain.with_name("it's mine_new.h5ad")) as opened_file:
        assert opened_file.obs["batch"].tolist() == [0, 1] * 30


def test_mudata(adata: anndata.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "two.h5mu"
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "MuData"
        for name, part in (("prot", adata[:, :4].copy()), ("rna", adata)):
            anndata.io.write_elem(file.require_group("mod"), name, part)
        anndata.io.write_elem(file, "obs", adata.obs)
        anndata.io.write_elem(file, "var", adata.var)
    said = refusal(path)
    assert said.startswith("it is a MuData of prot, rna. python -c ")
    follow(said)
    assert same(tmp_path / "rna.h5ad")


def tenx(version: int) -> Callable[[h5py.File, sp.csc_matrix], None]:
    def write(file: h5py.File, x_gn: sp.csc_matrix) -> None:
        group = file.create_group("matrix" if version > 2 else "GRCh38")
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(x_gn, part)
        group["shape"] = x_gn.shape
        group.create_dataset("barcodes", data=[f"c{i}" for i in range(60)], dtype=TEXT)
        names = [f"g{i}" for i in range(30)]
        if version > 2:
            for part in ("id", "name"):
                group.create_dataset(f"features/{part}", data=names, dtype=TEXT)
            group.create_dataset("features/feature_type", data=["Gene Expression"] * 30, dtype=TEXT)
            group.create_dataset("features/genome", data=["GRCh38"] * 30, dtype=TEXT)
        else:
            group.create_dataset("genes", data=names, dtype=TEXT)
            group.create_dataset("gene_names", data=names, dtype=TEXT)

    return write


@pytest.mark.parametrize("version", [2, 3])
def test_tenx(adata: anndata.AnnData, tmp_path: Path, version: int) -> None:
    path = tmp_path / "filtered_feature_bc_matrix.h5"
    with h5py.File(path, "w") as file:
        tenx(version)(file, sp.csc_matrix(adata.X.T.astype(np.int32)))
    said = refusal(path)
    assert said.startswith("it is a 10x file of one sample, without obs. ")
    follow(said)
    assert same(path.with_suffix(".h5ad"))


def test_loom(adata: anndata.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "cells.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = adata.X.T.toarray()
        file.create_dataset("col_attrs/CellID", data=[f"c{i}" for i in range(60)], dtype=TEXT)
        file.create_dataset("row_attrs/Gene", data=[f"g{i}" for i in range(30)], dtype=TEXT)
    assert refusal(path) == (
        "it is a loom file. With the package loompy: python -c 'import anndata; "
        f'anndata.io.read_loom("{path}").write_h5ad("{path.with_suffix(".h5ad")}")\''
    )


def test_h5seurat(tmp_path: Path) -> None:
    path = tmp_path / "a.h5seurat"
    with h5py.File(path, "w") as file:
        file.create_group("assays/RNA/counts")
        file.create_group("meta.data")
    assert refusal(path) == f'it is an h5Seurat file. In R: SeuratDisk::Convert("{path}", dest = "h5ad")'


@pytest.mark.parametrize(
    ("names", "said"), [(["axis0"], "no obs and var (it holds axis0)"), (["obs"], "no var (it")]
)
def test_other_hdf5(tmp_path: Path, names: list[str], said: str) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        for name in names:
            file.create_group(name)
    assert refusal(path).startswith(f"it is HDF5, but not an AnnData: it has {said}")


def test_held_open_by_another_process(plain: Path) -> None:
    code = f"import h5py; f = h5py.File({str(plain)!r}, 'r+'); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        said = refusal_of_held(plain)
        holder.communicate("\n")
    assert said.startswith(
        'another process holds it open for writing, such as a notebook with backed="r+". Close'
    )
    assert same(plain)


def refusal_of_held(path: Path) -> str:
    with pytest.raises(BadInput) as caught, opened(path):
        pass
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (
            ["matrix.mtx.gz"],
            "it is the folder of a 10x sample, without obs. Several are a data set: dataset=tenx",
        ),
        (["filtered_feature_bc_matrix.h5"], "it is the folder of a 10x sample, without obs. "),
        (["a.txt"], "it is a folder, but no zarr store. Give the path of an .h5ad file or .zarr store."),
        (["a.h5ad", "b.h5ad"], "it is a folder, but no zarr store. Give the path of an .h5ad file or"),
    ],
)
def test_folders(tmp_path: Path, inside: list[str], said: str) -> None:
    for name in inside:
        (tmp_path / name).touch()
    assert refusal(tmp_path).startswith(said)
    assert refusal(tmp_path).endswith(f"dataset.path='{tmp_path}/*'") == (len(inside) > 1)


@pytest.mark.parametrize("packed", [b"BZh91AY", b"\xfd7zXZ\0\0"])
def test_objects_of_r_that_it_packed_itself(tmp_path: Path, packed: bytes) -> None:
    """`readRDS` unpacks them; unxz does not even take the name."""
    for name, read in (("x.rds", "(readRDS("), ("x.RData", "(get(load(")):
        (tmp_path / name).write_bytes(packed)
        assert read in refusal(tmp_path / name)


@pytest.mark.parametrize(("group", "keys"), [("mod", ["prot", "rna"]), ("tables", ["table"])])
def test_a_store_that_holds_an_anndata_deeper(tmp_path: Path, group: str, keys: list[str]) -> None:
    """Of MuData, of SpatialData: the path that is given is read."""
    import zarr

    root = zarr.open_group(tmp_path / "x.zarr", mode="w")
    for key in keys:
        at = root.require_group(f"{group}/{key}")
        at.require_group("obs")
        at.require_group("var")
    with (
        pytest.raises(BadInput, match="holds no AnnData: obs or var is not there") as caught,
        opened(tmp_path / "x.zarr"),
    ):
        pass
    said, _, path = str(caught.value).partition(": dataset.path=")
    assert said.endswith(f"It holds {', '.join(f'{group}/{key}' for key in keys)}")
    assert Path(path) == tmp_path / "x.zarr" / group / keys[-1]
    with opened(Path(path)):
        pass
