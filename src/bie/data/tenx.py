"""Count matrices in the archives of Cell Ranger 2."""

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import scipy.sparse as sp

from bie.errors import BadInput


@dataclass(frozen=True)
class Run:
    """One 10x run: x_ng in CSR, barcodes of the n cells, Ensembl ids of the g genes."""

    counts: sp.csr_matrix
    barcodes: list[str]
    genes: list[str]


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
        x_gn = mmread(parts["matrix.mtx"])
        barcodes = _first_column(parts["barcodes.tsv"])
        genes = _first_column(parts["genes.tsv"])
    return Run(sp.csr_matrix(x_gn.T), barcodes, genes)


def _first_column(lines: Iterable[bytes]) -> list[str]:
    return [line.decode().rstrip("\r\n").split("\t")[0] for line in lines]
