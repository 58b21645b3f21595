"""Count matrices as Cell Ranger leaves them: archives of version 2, ``.h5`` files, ``mtx`` folders."""

import tarfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

import numpy as np
import scipy.sparse as sp

from bie.data.cells import canonical
from bie.data.checks import examples, first_non_count, shown
from bie.data.fractions import rounded
from bie.data.mtx import MATRIX, Run, read_files
from bie.errors import BadInput


def read(archive: Path) -> Run:
    """Read ``matrix.mtx``, ``barcodes.tsv`` and ``genes.tsv`` out of a ``.tar.gz``, without unpacking it.

    The matrix is stored with a row for each gene (Matrix Market coordinates); the first column of
    ``genes.tsv`` is the Ensembl id.

    Raises
    ------
    BadInput
        If one of the three is not there.
    """
    from scipy.io import mmread

    with tarfile.open(archive, "r:gz") as tar:
        members = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        absent = [name for name in ("matrix.mtx", "barcodes.tsv", "genes.tsv") if name not in members]
        if absent:
            raise BadInput(f"{archive} lacks {', '.join(absent)}. Delete it to download it again")
        parts = {name: cast(IO[bytes], tar.extractfile(member)) for name, member in members.items()}
        x_gn = mmread(parts["matrix.mtx"], spmatrix=False)
        barcodes = _first_column(parts["barcodes.tsv"])
        genes = _first_column(parts["genes.tsv"])
    return Run(sp.csr_matrix(x_gn.T), barcodes, genes)


def _first_column(lines: Iterable[bytes]) -> list[str]:
    return [line.decode().rstrip("\r\n").split("\t")[0] for line in lines]


INSIDE = (
    "filtered_feature_bc_matrix.h5",
    "filtered_feature_bc_matrix",
    "sample_filtered_feature_bc_matrix.h5",
    "sample_filtered_feature_bc_matrix",
    "filtered_gene_bc_matrices_h5.h5",
    "filtered_gene_bc_matrices",
    "outs",
    "count",
    "Solo.out",
    "Gene",
    "filtered",
)
"""Where a folder of Cell Ranger or STARsolo holds the matrix of its cells, the first that is there."""


def read_matrix(path: Path) -> Run:
    """Read the gene expression of one sample.

    Parameters
    ----------
    path
        A ``.h5`` file; a folder with ``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` or ``genes.tsv``,
        packed by gzip or not; a folder of Cell Ranger or STARsolo around it; the matrix itself; or the
        beginning that the names of the three have in common, as in GEO (``GSM1_a_`` for
        ``GSM1_a_matrix.mtx.gz``).

    Raises
    ------
    BadInput
        If nothing of the kind is there, or it cannot be read.
    """
    place, prefix = _locate(path)
    try:
        run = _read_h5(place) if place.is_file() else read_files(place, prefix)
    except BadInput:
        raise
    except Exception as error:  # whatever keeps it from being read is bad input
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as 10x: {why}. {_remedy(why)}") from None
    if not run.genes or not run.barcodes:
        raise BadInput(
            f"{path} holds {len(run.barcodes):,} cells x {len(run.genes):,} genes of the kind Gene Expression"
        )
    return run


def located(path: Path) -> Path:
    """Where `read_matrix` finds the sample of this path: of two paths to one sample, the same.

    Raises
    ------
    BadInput
        If nothing of the kind is there.
    """
    place, prefix = _locate(path)
    return (place / prefix).resolve()


def _read_h5(path: Path) -> Run:
    import h5py
    import scanpy

    with h5py.File(path) as file:
        if {"obs", "var"} <= set(file):
            raise BadInput(
                f"{path} is an AnnData, no file of 10x. Such samples are read by dataset=h5ad "
                "dataset.path='FOLDER/*.h5ad' dataset.batch_key=file"
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # repeated gene symbols: the ids are used
        data = scanpy.read_10x_h5(path, gex_only=True)
    genes = data.var.get("gene_ids", data.var_names)
    return Run(sp.csr_matrix(data.X), [str(code) for code in data.obs_names], [str(gene) for gene in genes])


def _remedy(why: str) -> str:
    if "more than one genome" not in why:
        return "Is it whole?"
    return 'Write one of each sample: scanpy.read_10x_h5(FILE, genome=...).write_h5ad("SAMPLE.h5ad")'


def as_counts(path: Path, matrix: sp.csr_matrix, fractional: str) -> tuple[sp.csr_matrix, tuple[str, ...]]:
    """Check the values and bring them into the form of `bie.data.cells.Cells.counts`; say what that changed.

    Raises
    ------
    BadInput
        If a value is no count; says how to go on where it only is not whole.
    """
    x_ng = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
    bad = first_non_count(x_ng.data, whole=fractional == "refuse")
    if bad is not None:
        n = int((x_ng.data != np.rint(x_ng.data)).sum())
        share = f": {n:,} of its {x_ng.nnz:,} values ({100 * n / x_ng.nnz:.3g} %) are not whole"
        way = f"{share}. To go on with them: dataset.fractional=round"
        raise BadInput(f"{path} holds {shown(bad)}, which is not a count{way if n and bad > 0 else ''}")
    if fractional != "round":
        return canonical(x_ng), ()
    whole, said = rounded(str(path), x_ng)
    return canonical(whole), said


def _locate(path: Path) -> tuple[Path, str]:
    """File or folder of the matrix, and what the names of its files begin with."""
    if path.is_file():
        prefix = next((path.name.removesuffix(name) for name in MATRIX if path.name.endswith(name)), None)
        return (path, "") if prefix is None else (path.parent, prefix)
    if path.is_dir():
        if any((path / name).is_file() for name in MATRIX):
            return path, ""
        inside = next((path / name for name in INSIDE if (path / name).exists()), None)
        return _locate(inside or _only_sample(path))
    if any(path.with_name(path.name + name).is_file() for name in MATRIX):
        return path.parent, path.name
    raise BadInput(f"{path} does not exist (seen from {Path.cwd()})")


def _only_sample(folder: Path) -> Path:
    """The one sample within a folder, in a folder of its own or by how its files begin; no raw droplets."""
    within = sorted(folder.iterdir())
    folders = [path for path in within if path.is_dir()]
    found = [path for path in folders if any((path / name).is_file() for name in MATRIX)]
    found = [path for path in found if not path.name.startswith("raw")]
    for name in MATRIX:
        found += [folder / path.name.removesuffix(name) for path in within if path.name.endswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        names = examples([path.name for path in found])
        raise BadInput(
            f"{folder} holds {len(found)} samples ({names}). The sheet needs a line for each: path {found[0]}"
        )
    others = f". Its folders: {examples([path.name for path in folders])}" if folders else ""
    raise BadInput(
        f"{folder} holds none of {', '.join(MATRIX)}, nor a folder in which Cell Ranger or STARsolo leaves "
        f"it{others}"
    )
