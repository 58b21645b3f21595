"""The Monte Carlo split of the cells into training and test cells."""

import math

import numpy as np
from numpy.typing import NDArray

from bie.errors import BadInput

LEAST_TRAIN = 2
"""Cells: batch norm needs two, and one alone is no minibatch (`bie.training.batches.minibatches`)."""


def monte_carlo_split(
    n_cells: int, train_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the test cells at random, not stratified, exactly as scVI 0.3.0 did in the 2019 study.

    ``perm = RandomState(seed).permutation(n)``; the first ``n - floor(train_fraction * n)`` cells of it are
    the test cells, the others the training cells. The legacy `numpy.random.RandomState` is meant: its stream
    is frozen (NEP 19), so the study's splits come out again, and it is local: nothing else is reseeded.

    Parameters
    ----------
    n_cells
        Number of cells, n.
    train_fraction
        Share of the cells that train, above 0 and below 1.
    seed
        0 to 2**32 - 1.

    Returns
    -------
    train rows, test rows
        In the order drawn.

    Raises
    ------
    BadInput
        If fewer than two cells would train, which make no minibatch, or none test.
    """
    n_train = math.floor(train_fraction * n_cells)
    n_test = n_cells - n_train
    if n_train < LEAST_TRAIN or n_test < 1:
        raise BadInput(
            f"split.train_fraction={train_fraction:g} leaves {n_train} of {n_cells} cells to train and "
            f"{n_test} to test. At least {LEAST_TRAIN} must train and 1 test: choose a fraction nearer to 0.6"
        )
    permutation = np.random.RandomState(seed).permutation(n_cells).astype(np.int64)
    return permutation[n_test:], permutation[:n_test]
