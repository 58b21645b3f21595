"""A sample as three files: a matrix in Matrix Market's text, names of its genes, names of its cells.

Cell Ranger packs them by gzip and gives features three columns; STARsolo writes the same unpacked; Cell
Ranger 2 calls them genes, in two columns. GEO has every mixture of these.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from bie.data.nodes import decoded

MATRIX = ("matrix.mtx.gz", "matrix.mtx")
_GENES = ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv")
_CELLS = ("barcodes.tsv.gz", "barcodes.tsv")
_KIND = "Gene Expression"


@dataclass(frozen=True)
class Run:
    """One 10x run: x_ng in CSR, barcodes of the n cells, Ensembl ids of the g genes."""

    counts: sp.csr_matrix
    barcodes: list[str]
    genes: list[str]


def read_files(folder: Path, prefix: str = "") -> Run:
    """Read the gene expression of one sample.

    Parameters
    ----------
    folder
        Where the three files are.
    prefix
        What their names begin with.

    Raises
    ------
    ValueError
        The matrix has another number of genes or cells than there are names.
    OSError
        A file is not there, or cannot be unpacked.
    """
    from scipy.io import mmread

    genes = [line.split("\t") for line in _lines(_found(folder, prefix, _GENES))]
    barcodes = [line.split("\t")[0] for line in _lines(_found(folder, prefix, _CELLS))]
    matrix = mmread(_found(folder, prefix, MATRIX), spmatrix=False)
    if matrix.shape not in ((len(genes), len(barcodes)), (len(barcodes), len(genes))):
        size = " x ".join(f"{length:,}" for length in matrix.shape)
        raise ValueError(
            f"the matrix is {size}, but there are names of {len(genes):,} genes and {len(barcodes):,} cells"
        )
    is_by_gene = matrix.shape == (len(genes), len(barcodes))  # so if both fit: that is what 10x writes
    x_ng = sp.csr_matrix(matrix.T if is_by_gene else matrix)
    kept = [i for i, columns in enumerate(genes) if len(columns) < 3 or columns[2] == _KIND]
    return Run(x_ng[:, kept], barcodes, [genes[i][0] for i in kept])


def _found(folder: Path, prefix: str, names: tuple[str, ...]) -> Path:
    for path in (folder / f"{prefix}{name}" for name in names):
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no {prefix}{names[-1]}, packed or not")


def _lines(path: Path) -> list[str]:
    text = path.read_bytes()
    if path.suffix == ".gz":
        text = gzip.decompress(text)
    return [str(line) for line in decoded(np.array(text.splitlines(), dtype=object))]
