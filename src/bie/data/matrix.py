"""A matrix of an AnnData file, unread: dense or sparse, in HDF5 or in zarr."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data.cells import canonical
from bie.data.checks import fault_of_indices, fault_of_pointers, first_non_count, shown
from bie.data.nodes import Unreadable, absent_chunks, attribute, encoding, is_group, n_chunks
from bie.data.table import Table

_ROWS, _ENTRIES = 1000, 2**20  # of a dense and of a sparse matrix, read at a time
_FORMATS = {"csr_matrix": "csr", "csc_matrix": "csc", "csr": "csr", "csc": "csc"}
_TYPES = {"data": np.float32, "indices": np.int32, "indptr": np.int64}  # what is kept of each in memory
_ANEW = "Write the file anew from where it was made"
_UNSAFE = f"Reading it could give wrong counts or crash. {_ANEW}"


class Survey(NamedTuple):
    """What looking through a matrix gave.

    Attributes
    ----------
    bad
        First value that is no count, or the type of values that are no numbers; None if all are counts.
    largest
        Of the values looked at, 0 if there are none.
    is_number
        Whether the values are numbers.
    """

    bad: str | None
    largest: float
    is_number: bool = True

    @property
    def is_counts(self) -> bool:
        """Whether the matrix holds counts and nothing else."""
        return self.bad is None and self.largest > 0


class Matrix:
    """Counts or other values of n cells and g genes, held against the names of both before they are read.

    Parameters
    ----------
    node
        Array (dense) or group (sparse) of an HDF5 file or a zarr store.
    name
        What AnnData calls it: ``X``, ``layers["..."]``, ``raw.X``.
    cells, genes
        Tables that name its rows and columns.
    """

    def __init__(self, node: Any, name: str, cells: Table, genes: Table) -> None:
        self.name, self.cells, self.genes = name, cells, genes
        self._node = node
        self._surveys: dict[bool, Survey] = {}

    @cached_property
    def form(self) -> str:
        """``dense``, ``csr`` or ``csc``.

        Raises
        ------
        Unreadable
            If it is none of these, or does not say which.
        """
        said = encoding(self._node)
        if not is_group(self._node):
            if said in ("", "array"):
                return "dense"
            raise Unreadable(_unknown(self.name, said))
        said = said or str(attribute(self._node, "h5sparse_format") or "")
        if said in _FORMATS:
            return _FORMATS[said]
        if said or not all(part in self._node for part in _TYPES):
            raise Unreadable(_unknown(self.name, said))
        return self._form_by_pointers()

    @property
    def layout(self) -> str:
        """Form and type of number, for people."""
        return f"{self.form} {self._stored.dtype}"

    @property
    def absent(self) -> str:
        """Chunks of a dense matrix that its zarr store lacks, as it may where all are zeros; or ""."""
        n = absent_chunks(self._node) if self.form == "dense" else 0
        return f"{n:,} of its {n_chunks(self._node):,} chunks are not in the store" if n else ""

    def check(self) -> None:
        """Hold the matrix against the names of its cells and genes, as far as that needs no values.

        Raises
        ------
        Unreadable
            Another number of cells or genes than there are names, or a sparse matrix whose row pointers are
            not in order.
        """
        n_cells, n_genes = len(self.cells), len(self.genes)
        if self._shape != (n_cells, n_genes):
            said = " x ".join(f"{length:,}" for length in self._shape) or "one number"
            said = f"a vector of {said}" if len(self._shape) == 1 else said
            named = f"obs names {n_cells:,} cells and {self.genes.name} {n_genes:,} genes"
            turned = "It holds genes in rows: transpose it"
            remedy = turned if self._shape == (n_genes, n_cells) else _ANEW
            raise Unreadable(f"{self.name} is {said}, but {named}. {remedy}")
        if self.form != "dense":
            self._check_parts()

    def survey(self, whole: bool = True) -> Survey:
        """Look through the stored values, some at a time, up to the first that is no count.

        Parameters
        ----------
        whole
            Whether fractions are no counts.
        """
        if whole not in self._surveys:
            self.check()
            self._surveys[whole] = self._survey(whole)
        return self._surveys[whole]

    def _survey(self, whole: bool) -> Survey:
        if self._stored.dtype.kind not in "biuf":
            return Survey(f"values of type {self._stored.dtype}", 0.0, is_number=False)
        largest = 0.0
        for block in self.values():
            bad = first_non_count(block, whole)
            if bad is not None:
                return Survey(shown(bad), largest)
            largest = max(largest, float(block.max(initial=0)))
        return Survey(None, largest)

    def numbers_of(
        self, condition: Callable[[NDArray[Any]], NDArray[np.bool_]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of stored values of each cell, shape (n,), and of each gene, (g,), that meet a condition."""
        of_cell, of_gene = np.zeros(len(self.cells), np.int64), np.zeros(len(self.genes), np.int64)
        start = 0
        for block in self.values():
            met, stop = condition(block), start + len(block)
            if self.form == "dense":
                of_cell[start:stop] = met.sum(axis=1)
                of_gene += met.sum(axis=0)
            else:
                cells, genes = self._places(start, stop)
                of_cell += np.bincount(cells[met], minlength=of_cell.size)
                of_gene += np.bincount(genes[met], minlength=of_gene.size)
            start = stop
        return of_cell, of_gene

    def values(self) -> Iterator[NDArray[Any]]:
        """Stored values, some at a time; of a sparse matrix, those that are not left out."""
        step = _ROWS if self.form == "dense" else _ENTRIES
        for start in range(0, self._stored.shape[0], step):
            yield self._stored[start : start + step]

    def first(self, n_cells: int) -> sp.csr_matrix | None:
        """Values of the first cells, unchecked; None of a matrix that is stored by genes."""
        if self.form == "dense":
            return sp.csr_matrix(self._node[:n_cells])
        if self.form == "csc":
            return None
        indptr = self._node["indptr"][: n_cells + 1]
        parts = [self._node[name][: int(indptr[-1])] for name in ("data", "indices")]
        return sp.csr_matrix((*parts, indptr), shape=(len(indptr) - 1, len(self.genes)))

    def read(self) -> sp.csr_matrix:
        """Read x_ng, float32, in the form of `bie.data.cells.Cells.counts`."""
        self.check()
        if self.form == "dense":
            blocks = (rows.astype(np.float32, copy=False) for rows in self.values())
            return canonical(sp.vstack([canonical(sp.csr_matrix(rows)) for rows in blocks], format="csr"))
        parts = (self._part("data"), self._part("indices"), self._part("indptr"))
        kind = sp.csr_matrix if self.form == "csr" else sp.csc_matrix
        return canonical(kind(parts, shape=(len(self.cells), len(self.genes)), copy=False))

    @property
    def _stored(self) -> Any:
        return self._node if self.form == "dense" else self._node["data"]

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """Rows x columns that it has or, if it is sparse, says to have; else those of the names."""
        if self.form == "dense":
            return tuple(self._node.shape or ())
        for name in ("shape", "h5sparse_shape"):
            said = self._node.attrs.get(name)
            if said is not None:
                return tuple(int(length) for length in np.ravel(said))
        return len(self.cells), len(self.genes)

    def _form_by_pointers(self) -> str:
        """By the number of pointers, one more than there are rows (CSR) or columns (CSC)."""
        fits = {"csr": len(self.cells) + 1, "csc": len(self.genes) + 1}
        found = [form for form, n in fits.items() if self._node["indptr"].shape == (n,)]
        if len(found) != 1:
            raise Unreadable(
                f"{self.name} does not say whether it is stored by cells (csr) or by genes (csc)"
            )
        return found[0]

    def _check_parts(self) -> None:
        for name in _TYPES:
            if name not in self._node or is_group(self._node[name]):
                raise Unreadable(f"{self.name} is sparse, but its {name} are gone. {_ANEW}")
            absent = absent_chunks(self._node[name])
            if absent:
                whole = (
                    f"of {n_chunks(self._node[name]):,} chunks of its {name} {absent:,} are not in the store"
                )
                raise Unreadable(
                    f"{self.name}: {whole}, and would be read as zeros. Copy the store again, whole"
                )
        n_major = self._shape[0 if self.form == "csr" else 1]
        n_data, n_indices = (int(np.prod(self._node[name].shape)) for name in ("data", "indices"))
        if n_data != n_indices:
            raise Unreadable(f"{self.name} has {n_data:,} values, but {n_indices:,} indices. {_UNSAFE}")
        fault = fault_of_pointers(self._node["indptr"][...], n_major, n_data)
        if fault:
            raise Unreadable(f"{self.name}: {fault}. {_UNSAFE}")

    def _part(self, name: str) -> NDArray[Any]:
        """Read a part of a sparse matrix into an array of its final type: one of its size is enough."""
        array = np.empty(self._node[name].shape, _TYPES[name])
        for start in range(0, len(array), _ENTRIES):
            block = slice(start, start + _ENTRIES)
            array[block] = self._indices(block) if name == "indices" else self._node[name][block]
        return array

    def _places(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cell and gene of some stored values of a sparse matrix."""
        rows = np.searchsorted(self._node["indptr"][...], np.arange(start, stop), side="right") - 1
        major, minor = np.asarray(rows, np.int64), self._indices(slice(start, stop)).astype(np.int64)
        return (major, minor) if self.form == "csr" else (minor, major)

    def _indices(self, block: slice) -> NDArray[Any]:
        """Genes (csr) or cells (csc) of some stored values, as stored."""
        indices: NDArray[Any] = self._node["indices"][block]
        fault = fault_of_indices(indices, self._shape[1 if self.form == "csr" else 0])
        if fault:
            raise Unreadable(f"{self.name}: {fault}. {_UNSAFE}")
        return indices


def _unknown(name: str, said: str) -> str:
    if not said:
        return f"{name} is neither an array nor a sparse matrix of data, indices and indptr. {_ANEW}"
    return (
        f'{name} has the encoding "{said}", which this version of bie does not know. '
        "Another layer, or the file written anew by an older anndata"
    )
