"""The Monte Carlo split of the cells into training and test cells."""

import math

import numpy as np
from numpy.typing import NDArray

from bie.errors import BadInput


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
        If one side would be empty.
    """
    n_test = n_cells - math.floor(train_fraction * n_cells)
    if not 0 < n_test < n_cells:
        raise BadInput(
            f"split.train_fraction={train_fraction:g} leaves {n_cells - n_test} of {n_cells} cells to train "
            f"and {n_test} to test. Both must be at least 1: choose a fraction nearer to 0.6"
        )
    permutation = np.random.RandomState(seed).permutation(n_cells).astype(np.int64)
    return permutation[n_test:], permutation[:n_test]
