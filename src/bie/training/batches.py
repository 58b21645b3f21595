"""Minibatches: which cells, and their counts, batches and labels, a few at a time."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.data.cells import Cells
from bie.kernels.counts import SparseCounts, rows_of

CHUNK = 128
"""Cells that are evaluated at a time; their noise is drawn so, and would be another in other chunks."""


Codes = tuple[Tensor, Tensor | None]
"""Batch codes ``batch_n`` (int64), and codes of the cell types where there are labels."""


class Resident(NamedTuple):
    """All cells as dense tensors on one device, of which minibatches are taken for many runs at a time."""

    x_ng: Tensor
    batch_n: Tensor
    label_n: Tensor | None

    @classmethod
    def of(cls, cells: Cells, device: str) -> "Resident":
        """Put the cells on a device."""
        rows = np.arange(cells.n_cells)
        batch_n, label_n = _codes(cells, rows)
        return cls(
            _dense(cells, rows).to(device),
            batch_n.to(device),
            None if label_n is None else label_n.to(device),
        )

    @property
    def device(self) -> torch.device:
        """Device that the tensors are on."""
        return self.x_ng.device

    def take(self, rows_rn: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Counts ``(r, n, g)``, batch codes and labels ``(r, n)`` of some cells for each run.

        Parameters
        ----------
        rows_rn
            Rows of the cells, ``(r, n)``, or ``(n,)`` for one run without an axis of runs.
        """
        label_rn = None if self.label_n is None else self.label_n[rows_rn]
        return self.x_ng[rows_rn], self.batch_n[rows_rn], label_rn


class Mapped:
    """Cells on the CPU, of which a minibatch is made dense, and no more.

    Parameters
    ----------
    cells
        As they lie in memory or in a file.
    """

    device = torch.device("cpu")

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def take(self, rows_rn: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """As `Resident.take`."""
        x_ng, batch_n, label_n = dense(self._cells, rows_rn.flatten().numpy())
        label_rn = None if label_n is None else label_n.view(rows_rn.shape)
        return x_ng.view(*rows_rn.shape, -1), batch_n.view(rows_rn.shape), label_rn


def minibatches(
    rows: NDArray[np.int64], size: int, order: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Cut the rows, in random order, into minibatches.

    Parameters
    ----------
    rows
        Rows of the training cells, two or more.
    size
        Cells of a minibatch; the last one may be smaller. A single leftover cell joins the minibatch
        before it, since batch norm needs two.
    order
        Stream of the order; each call draws one permutation.
    """
    shuffled = order.permutation(rows)
    starts = range(0, len(rows) - 1, size)
    for start, stop in pairwise([*starts, len(rows)]):
        yield shuffled[start:stop]


Take = Callable[[Cells, NDArray[np.int64]], tuple[Any, Tensor, Tensor | None]]
"""Makes a minibatch of some cells: `dense` or `sparse`."""


def dense(cells: Cells, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Counts ``x_ng`` of some cells as a dense tensor, and their `Codes`."""
    return _dense(cells, rows), *_codes(cells, rows)


def sparse(cells: Cells, rows: NDArray[np.int64]) -> tuple[SparseCounts, Tensor, Tensor | None]:
    """Counts of some cells as sparse as they are, as compiled models take them, and their `Codes`."""
    return rows_of(cells.counts, rows), *_codes(cells, rows)


def _dense(cells: Cells, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(cells.counts[rows].toarray())


def _codes(cells: Cells, rows: NDArray[np.int64]) -> Codes:
    label_n = None if cells.label is None else torch.from_numpy(cells.label[rows])
    return torch.from_numpy(cells.batch[rows]), label_n


def chunks(rows: NDArray[np.int64], size: int = CHUNK) -> Iterator[NDArray[np.int64]]:
    """All rows, in order, `size` cells at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def sizes_of(n: int, size: int) -> list[int]:
    """Cells of each of the `chunks` of n rows."""
    return [min(size, n - start) for start in range(0, n, size)]
