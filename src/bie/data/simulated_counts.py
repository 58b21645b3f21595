"""Draw counts around known means, as all simulated data sets do."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit

from bie.data.cells import canonical

Floats = NDArray[np.float64]


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
