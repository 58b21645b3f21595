"""What comes instead of an AnnData file: what it is, and the one line that makes an AnnData of it."""

import gzip
import json
import re
import shlex
import zipfile
import zlib
from pathlib import Path
from typing import Any

from bie.data.barcodes import WELLS, endings, wells
from bie.data.mtx import MATRIX
from bie.data.nodes import child, decoded, encoding, is_group
from bie.data.overrides import override
from bie.data.tenx import INSIDE

_HDF5 = b"\x89HDF\r\n\x1a\n"
_WRITE = 'Write one: adata.write_h5ad("X.h5ad")'
_WHOLE = 'Copy it again, whole, or write one: adata.write_zarr("X.zarr")'
_R = 'it is an object of R. In R: anndataR::write_h5ad(readRDS("{name}"), "{stem}.h5ad")'
_R_IMAGE = 'it is an image of R. In R: anndataR::write_h5ad(get(load("{name}")), "{stem}.h5ad")'
_AGAIN = "Download it again, with a link to the file itself"
_TENX = "Several are a data set: dataset=tenx dataset.samples=SHEET.csv (columns sample, path)"
_OF_TENX = {name for name in INSIDE if "matri" in name or name == "Solo.out"}
_MATRIX_MARKET = b"%%MatrixMarket"
_PACKED = _BZIP2, _XZ = b"BZh", b"\xfd7zXZ"
_BEGINNINGS = {
    b"version https://git-lfs": "it is a pointer of git-lfs, not the file. In its repository: git lfs pull",
    _MATRIX_MARKET: f"it is the matrix of a 10x sample, without obs. {_TENX}",
    _BZIP2: "it is compressed by bzip2. bunzip2 -k {path}",
    _XZ: "it is compressed by xz. unxz -k {path}",
    b"\x28\xb5\x2f\xfd": "it is compressed by zstd. unzstd {path}",
    b"7z\xbc\xaf": "it is a 7z archive. 7z x {path}",
    b"PAR1": f"it is a table of Parquet. {_WRITE}",
    b"%PDF": f"it is a PDF document. {_AGAIN}",
    b"/annex/": "it is a pointer of git-annex, not the file. In its repository: git annex get {path}",
    b"RDX": _R_IMAGE,
    b"RDA": _R_IMAGE,
    b"X\n\x00\x00": _R,
}
_OF_R = {".rds": _R, ".rdata": _R_IMAGE, ".rda": _R_IMAGE}
"""By ending, where R has compressed it in another way than by gzip."""


def other_folder(path: Path) -> str:
    """What a folder is that is no zarr store, and what to do."""
    inside = {name.name for name in path.iterdir()}
    if inside & _OF_TENX or any(name.endswith(MATRIX) for name in inside):
        return f"it is the folder of a 10x sample, without obs. {_TENX}"
    files = sorted(name for name in inside if name.endswith((".h5ad", ".zarr")))
    found = f" It holds {len(files)} files of AnnData: dataset.path='{path}/*'" if len(files) > 1 else ""
    return f"it is a folder, but no zarr store. Give the path of an .h5ad file or .zarr store.{found}"


def other_file(path: Path) -> str:
    """What a file is that is no HDF5, and what to do."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return "it is empty (0 bytes). Was the disk full where it was written, or the download cut short?"
    if head.startswith(b"\x1f\x8b"):
        return _gzipped(path)
    if zipfile.is_zipfile(path):
        return _zipped(path)
    if head[257:262] == b"ustar":
        return f"it is a tar archive. Unpack it: tar -xf {_quoted(path)}"
    said = _by_beginning(head)
    if said and head.startswith(_PACKED):
        said = _OF_R.get(path.suffix.lower(), said)
    return _filled(said, path) if said else _unknown(path, head)


def _by_beginning(head: bytes) -> str | None:
    return next((said for beginning, said in _BEGINNINGS.items() if head.startswith(beginning)), None)


def _unknown(path: Path, head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:200].lower()
    if start.startswith(b"<"):
        return f"it is a web page or an XML message, saved under this name. {_AGAIN}"
    if _is_sheet(start):
        return f"it is a sample sheet. To use it: dataset=tenx dataset.samples={_quoted(path)}"
    size = path.stat().st_size
    if start.startswith((b"{", b"[")):
        return f"it ({size:,} bytes) is JSON text, perhaps the message of a server. {_AGAIN}"
    return f"it ({size:,} bytes) is not an .h5ad file, but {_text_or_binary(head)}. {_WRITE}"


def _is_sheet(head: bytes) -> bool:
    """Whether the first line names the columns of a sample sheet."""
    names = {name.strip(b' "') for name in re.split(rb"[,;\t]", head.strip().split(b"\n")[0].strip().lower())}
    return b"path" in names and bool(names & {b"sample", b"batch"})


def _text_or_binary(head: bytes) -> str:
    if b"\0" in head:
        return "of another kind, or the beginning of it is damaged"
    return (
        "a table in text"
        if any(mark in head.split(b"\n")[0] for mark in (b",", b"\t", b";"))
        else "plain text"
    )


def _gzipped(path: Path) -> str:
    try:
        with gzip.open(path) as file:
            inside = file.read(512)
    except (OSError, EOFError, zlib.error):
        return "it is compressed by gzip, and damaged or incomplete. Download it again"
    if inside[257:262] == b"ustar":
        return f"it is a tar archive. Unpack it: tar -xzf {_quoted(path)}"
    said = _R if inside.startswith(b"A\n") else _by_beginning(inside)
    if said in (_R, _R_IMAGE, _BEGINNINGS[_MATRIX_MARKET]):
        return _filled(str(said), path)
    if path.suffix == ".gz":
        return f"it is compressed by gzip. gunzip -k {_quoted(path)}"
    unpacked = path.with_name(f"unpacked_{path.name}")
    return f"it is compressed by gzip. gunzip -c {_quoted(path)} > {_quoted(unpacked)}"


def _zipped(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    found = next((name for name in names if name.endswith((".h5ad", ".h5mu", ".zarr/", ".loom"))), None)
    if any(name.endswith((".zgroup", "zarr.json")) for name in names):
        return f"it is a zip of a zarr store. {_unzip(path, path.with_suffix(''))}"
    if any(name.startswith("xl/") for name in names):
        return f"it is an Excel table. {_WRITE}"
    inside = (
        f" of {found}" if found else f" of {len(names):,} files" if len(names) != 1 else f" of {names[0]}"
    )
    return f"it is a zip archive{inside}. {_unzip(path, path.parent)}"


def _unzip(path: Path, into: Path) -> str:
    return f"python -m zipfile -e {_quoted(path)} {_quoted(into)}"


def other_zarr(path: Path, root: Any) -> str | None:
    """What a zarr store is that has no tables obs and var, and what to do; None for an AnnData."""
    if child(root, "obs") is not None and child(root, "var") is not None:
        return None
    groups = {name: child(root, name) for name in ("mod", "tables")}  # of MuData, of SpatialData
    within = [f"{name}/{key}" for name, group in groups.items() if group is not None for key in sorted(group)]
    chosen = next((key for key in within if key.endswith(("/rna", "/gex"))), next(iter(within), ""))
    where = f"It holds {', '.join(within)}: {override('dataset.path', str(path / chosen))}"
    return f"this zarr store holds no AnnData: obs or var is not there. {where if within else _WHOLE}"


def other_hdf5(path: Path, root: Any) -> str | None:
    """What an HDF5 file is that has no tables obs and var, and what to do; None for an AnnData."""
    if child(root, "mod") is not None or encoding(root) == "MuData":
        return _mudata(path, root)
    obs, var = child(root, "obs"), child(root, "var")
    if obs is not None and var is not None:
        flat = not is_group(obs) or not is_group(var)
        return f"it is an AnnData of before version 0.7, with flat tables. {_anew(path)}" if flat else None
    if child(root, "row_attrs") is not None and child(root, "col_attrs") is not None:
        return f"it is a loom file. With the package loompy: {_python('anndata.io.read_loom({name})', path)}"
    if (barcodes := _barcodes_of_tenx(root)) is not None:
        return _tenx(path, barcodes)
    if child(root, "assays") is not None and child(root, "meta.data") is not None:
        return _filled('it is an h5Seurat file. In R: SeuratDisk::Convert("{name}", dest = "h5ad")', path)
    lacks = " and ".join(name for name, node in (("obs", obs), ("var", var)) if node is None)
    holds = ", ".join(list(root)[:5]) or "nothing"
    return (
        f"it is HDF5, but not an AnnData: it has no {lacks} (it holds {holds}). "
        'Read it with what wrote it and write it anew: adata.write_h5ad("X.h5ad")'
    )


def _barcodes_of_tenx(root: Any) -> Any:
    """Cell Ranger 3 and later: in the group ``matrix``; Cell Ranger 2: in a group for each genome."""
    groups = [node for node in (child(root, name) for name in root) if node is not None and is_group(node)]
    return next((group["barcodes"] for group in groups if "barcodes" in group and "indptr" in group), None)


def _tenx(path: Path, barcodes: Any) -> str:
    """A sample, or those that ``cellranger aggr`` has put into one file."""
    well_n = None if is_group(barcodes) else wells(decoded(barcodes[...]))
    if well_n is None:
        alone = _python("scanpy.read_10x_h5({name})", path)
        return f"it is a 10x file of one sample, without obs. {_TENX}; this one alone: {alone}"
    target = path.with_name(f"{path.stem}.h5ad")
    read, write = f"scanpy.read_10x_h5({_text(path)})", f"adata.write_h5ad({_text(target)})"
    code = f"import scanpy; adata = {read}; {WELLS}; {write}"
    return (
        f"it is a 10x file without obs, of several GEM wells: barcodes end in {endings(well_n)}, as "
        f"cellranger aggr numbers samples. With a column that tells them: python -c {shlex.quote(code)}"
    )


def _mudata(path: Path, root: Any) -> str:
    modalities = list(child(root, "mod") or ())
    rna = next((name for name in ("rna", "gex", "RNA", "GEX") if name in modalities), None)
    chosen = rna or next(iter(modalities), "rna")
    nullable = (
        "anndata.settings.allow_write_nullable_strings = True"  # as anndata 0.13 has them, 0.12 reads them
    )
    read = f'{nullable}; anndata.io.read_elem(h5py.File({{name}})["mod/{chosen}"])'
    said = f"it is a MuData of {', '.join(modalities) or 'nothing'}. {_python(read, path, 'h5py', chosen)}"
    columns = [key for key in child(root, "obs") or () if key not in ("_index", "index")]
    return (
        f"{said} (mudata.MuData.push_obs() before it, where its own obs has the batches)" if columns else said
    )


def _anew(path: Path) -> str:
    return _python("anndata.io.read_h5ad({name})", path, stem=f"{path.stem}_new")


def _python(read: str, path: Path, needs: str = "", stem: str = "") -> str:
    """A command that reads the file by an expression and writes it as .h5ad beside it."""
    target = path.with_name(f"{stem or path.stem}.h5ad")
    package = read.partition(".")[0]
    names = f"{package}, {needs}" if needs else package
    code = f"import {names}; {read}.write_h5ad({_text(target)})".replace("{name}", _text(path))
    return f"python -c {shlex.quote(code)}"


def _text(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _filled(said: str, path: Path) -> str:
    return said.replace("{path}", _quoted(path)).replace("{name}", str(path)).replace("{stem}", path.stem)
