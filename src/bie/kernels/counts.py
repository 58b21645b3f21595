"""Counts of a minibatch as the sparse rows that they are."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from bie.kernels.native import call


class Csc(NamedTuple):
    """Columns of a sparse matrix: where each begins ``(g + 1,)``, and rows and values, ``(n_values,)``."""

    start: Tensor
    row: Tensor
    values: Tensor


class SparseCounts:
    """Rows of a CSR matrix on the CPU, and what scVI asks of its counts.

    Parameters
    ----------
    indptr, indices
        int32, (n + 1,) and (n_values,): where each row begins, and the columns, ascending within a row.
    values
        float32, (n_values,): counts, whole numbers from 1, or what is made of them.
    n_columns
        Genes, g.
    columns
        The same by columns, where they are known.
    """

    def __init__(
        self, indptr: Tensor, indices: Tensor, values: Tensor, n_columns: int, columns: Csc | None = None
    ) -> None:
        self.indptr, self.indices, self.values = indptr, indices, values
        self.shape = (len(indptr) - 1, n_columns)
        self._columns = columns

    def __len__(self) -> int:
        """Number of cells."""
        return self.shape[0]

    def log1p(self) -> "SparseCounts":
        """``log(1 + x)`` of each count."""
        return self._described.logs

    def total(self) -> Tensor:
        """Total of each cell, ``(n,)``."""
        return self._described.total_n

    def csr(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three arrays, as the kernels take them."""
        return self.indptr, self.indices, self.values

    def csc(self) -> Csc:
        """The counts by columns, made at first use."""
        return self._columns or self._described.columns

    @cached_property
    def _described(self) -> "_Described":
        values, n_genes = self.values, self.shape[1]
        logs, columns, column_logs = (torch.empty_like(values) for _ in range(3))
        total_n, start = values.new_empty(len(self)), self.indptr.new_empty(n_genes + 1)
        row = torch.empty_like(self.indices)
        call("describe", *self.shape, *self.csr(), logs, total_n, start, row, columns, column_logs)
        by_column = Csc(start, row, column_logs)
        return _Described(
            SparseCounts(self.indptr, self.indices, logs, n_genes, by_column),
            total_n,
            Csc(start, row, columns),
        )


class _Described(NamedTuple):
    """Logs, totals and columns of counts, made in one pass over them."""

    logs: SparseCounts
    total_n: Tensor
    columns: Csc


def rows_of(matrix: csr_matrix, rows: NDArray[np.int64]) -> SparseCounts:
    """Some rows of a float32 matrix, in the order asked for."""
    arrays = matrix.indptr, matrix.indices, matrix.data
    if any(array.itemsize != 4 for array in arrays):  # int64, where there are 2^31 counts or more
        part = matrix[rows]
        narrowed = part.indptr.astype(np.int32), part.indices.astype(np.int32)
        indptr, indices, values = map(torch.from_numpy, (*narrowed, part.data))
        return SparseCounts(indptr, indices, values, matrix.shape[1])
    return _rows_of(arrays, rows, matrix.shape[1])


def _rows_of(arrays: tuple[NDArray[Any], ...], rows: NDArray[np.int64], n_columns: int) -> SparseCounts:
    """The same from row starts, columns and values, of four bytes each."""
    starts = arrays[0]
    indptr = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(starts[rows + 1] - starts[rows], out=indptr[1:])
    n_values = int(indptr[-1])
    indices, values = torch.empty(n_values, dtype=torch.int32), torch.empty(n_values)
    given = rows.astype(np.int32), *arrays, indptr
    addresses = [array.ctypes.data for array in given]  # of arrays that may be mapped from a file, read-only
    call("take_rows", len(rows), *addresses, indices, values)
    return SparseCounts(torch.from_numpy(indptr), indices, values, n_columns)
