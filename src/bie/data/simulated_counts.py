"""What simulated data sets have in common: counts around known means, and names."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit

from bie.data import checks
from bie.data.cells import Cells, canonical
from bie.errors import BadInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROWS = 500  # cells simulated at a time, to bound the memory; the result depends on it


def dropout(mean: Floats, intercept: Floats, slope: float) -> Floats:
    """Probability of a technical zero, ``sigmoid(intercept - slope * log(mean + 1e-8))``."""
    probability: Floats = expit(intercept - slope * np.log(mean + 1e-8))
    return probability


def zinb_counts(
    mean_ng: Floats, theta_g: Floats, intercept_n: Floats, slope: float, rng: np.random.Generator
) -> sp.csr_matrix:
    """Draw x_ng: negative binomial counts, some of which are lost.

    Parameters
    ----------
    mean_ng, theta_g
        Mean in counts and inverse dispersion of the negative binomial: variance mean + mean^2 / theta.
    intercept_n, slope
        Of `dropout`.
    """
    y_ng = rng.poisson(mean_ng * rng.standard_gamma(theta_g, mean_ng.shape) / theta_g)
    cell, gene = y_ng.nonzero()
    lost = rng.random(cell.size) < dropout(mean_ng[cell, gene], intercept_n[cell], slope)
    counts = np.where(lost, 0, y_ng[cell, gene])
    return canonical(sp.coo_matrix((counts, (cell, gene)), y_ng.shape))


def in_chunks(n_cells: int, draw: Callable[[slice], sp.csr_matrix]) -> sp.csr_matrix:
    """x_ng of all cells, from draws for some rows at a time, in order."""
    starts = range(0, n_cells, _ROWS)
    return canonical(sp.vstack([draw(slice(start, start + _ROWS)) for start in starts], format="csr"))


def named_cells(
    counts: sp.csr_matrix,
    batch_n: Integers,
    n_batches: int,
    label_n: Integers,
    types: Sequence[int],
    factor_nf: Floats | None = None,
) -> Cells:
    """Simulated cells, their batches, types and genes named by number.

    Parameters
    ----------
    counts, batch_n, n_batches, label_n
        See `Cells`.
    types
        Number of the type that each code of `label_n` stands for.
    factor_nf
        Generative factors, where there are any.
    """
    return Cells(
        counts=counts,
        batch=batch_n.astype(np.int64),
        batches=tuple(f"batch_{b}" for b in range(n_batches)),
        label=label_n.astype(np.int64),
        labels=tuple(f"type_{k}" for k in types),
        cell_names=np.array([f"cell_{n}" for n in range(counts.shape[0])]),
        gene_names=np.array([f"gene_{g}" for g in range(counts.shape[1])]),
        factors=factor_nf,
    )


def check_simulated(cells: Cells, dataset: str, remedy: str) -> None:
    """Raise `BadInput` if settings gave cells that no model can be trained on; the remedy is in settings."""
    for problem in checks.find_problems(cells):
        raise BadInput(f"dataset={dataset}: {problem.finding}. {remedy}")
