"""Minibatches: which cells, and their counts, a few at a time."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie import kernels
from bie.data.cells import Cells
from bie.kernels.counts import Counts, rows_of


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


def dense(cells: Cells, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Counts ``x_ng`` (float32) and batch codes ``batch_n`` (int64) of some cells."""
    return torch.from_numpy(cells.counts[rows].toarray()), torch.from_numpy(cells.batch[rows])


def minibatch(cells: Cells, rows: NDArray[np.int64]) -> tuple[Counts, Tensor]:
    """As `dense`, but where there are compiled kernels the counts stay sparse, which calls for these."""
    if kernels.is_active() and cells.counts.dtype == np.float32:
        return rows_of(cells.counts, rows), torch.from_numpy(cells.batch[rows])
    return dense(cells, rows)


def chunks(cells: Cells, rows: NDArray[np.int64], size: int = 128) -> Iterator[tuple[Counts, Tensor]]:
    """Counts and batch codes of all rows, in order, `size` cells at a time."""
    for start in range(0, len(rows), size):
        yield minibatch(cells, rows[start : start + size])
