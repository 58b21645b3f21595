"""Standard deviations of crossed random effects, by restricted maximum likelihood.

A value is ``mean + b_1 + ... + b_K + rest``: an independent normal effect of the level of each source, and
a rest that only their combination explains (Patterson & Thompson 1971, Biometrika 58:545). For a balanced
design without a component at 0 this is the analysis of variance; the 95 % intervals are those of the
profiled restricted likelihood, whose lower end may be 0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REST = "rest"
_DROP = 3.841458820694124  # 95 % quantile of chi-square with one degree of freedom
_SMALLEST = 1e-5  # of the rest, in standard deviations of the values: else the likelihood has no maximum
_NONE = 1e-4  # likewise: an estimate below it is 0, as near as the search gets

Array = NDArray[np.float64]
Factors = Mapping[str, NDArray[np.int64]]
Deviance = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True)
class Component:
    """Standard deviation that one source of randomness gives a metric.

    Attributes
    ----------
    source
        Name, several joined by ``+`` where the design does not tell them apart; `REST` for what is left.
    levels
        How many different seeds of it there are.
    sd, low, high
        In the unit of the metric, with its 95 % interval.
    """

    source: str
    levels: int
    sd: float
    low: float
    high: float


def restricted_ml(values: Array, factors: Factors) -> list[Component]:
    """Estimate the standard deviations of crossed random effects.

    Parameters
    ----------
    values
        Shape (n,), not all equal.
    factors
        Codes 0, 1, ... of the levels of each source, shape (n,).

    Returns
    -------
    list[Component]
        In the order of the factors, the rest last.
    """
    scale = float(np.std(values, ddof=1))
    deviance = _deviance((values - values.mean()) / scale, list(factors.values()))
    best, lowest = _minimum(deviance, np.full(len(factors) + 1, 1 / math.sqrt(len(factors) + 1)))
    best = np.where(best < _NONE, 0.0, best)
    names = [(name, int(codes.max()) + 1) for name, codes in factors.items()] + [(REST, len(values))]
    found = []
    for place, (name, levels) in enumerate(names):
        low, high = _interval(deviance, best, lowest, place)
        found.append(Component(name, levels, scale * float(best[place]), scale * low, scale * high))
    return found


def _deviance(y: Array, factors: list[NDArray[np.int64]]) -> Deviance:
    r"""-2 log restricted likelihood of standard deviations, up to a constant, and its gradient.

    With :math:`V = \sigma^2 I + Z D Z'` and P its inverse less the mean's part, the deviance is
    :math:`\log|V| + \log 1'V^{-1}1 + y'Py` and its derivative by a standard deviation
    :math:`2 \sigma_k (\mathrm{tr} Z_k'PZ_k - |Z_k'Py|^2)`. All of it comes from the cross products
    of Z by Woodbury's identity, so that its cost does not grow with the number of runs.
    """
    n = len(y)
    z = np.hstack([np.eye(codes.max() + 1)[codes] for codes in factors])
    of = np.repeat(np.arange(len(factors)), [codes.max() + 1 for codes in factors])
    x = np.column_stack([np.ones(n), y])
    zz, zx, xx = z.T @ z, z.T @ x, x.T @ x

    def deviance(sds: Array) -> tuple[float, Array]:
        rest = max(float(sds[-1] ** 2), _SMALLEST**2)
        scaled = sds[:-1][of]
        factor = np.linalg.cholesky(rest * np.eye(len(of)) + scaled[:, None] * zz * scaled)
        half_x, half_z = (np.linalg.solve(factor, scaled[:, None] * m) for m in (zx, zz))
        one, both = (xx - half_x.T @ half_x) / rest, (zx - half_z.T @ half_x) / rest  # by V^-1
        slope = one[0, 1] / one[0, 0]
        fit = float(one[1, 1] - one[0, 1] * slope)
        log_v = (n - len(of)) * math.log(rest) + 2 * float(np.log(np.diag(factor)).sum())
        trace = (np.diag(zz) - (half_z**2).sum(0)) / rest - both[:, 0] ** 2 / one[0, 0]
        pulls = np.bincount(of, trace), np.bincount(of, (both[:, 1] - both[:, 0] * slope) ** 2)
        held = [float((sds[:-1] ** 2) @ pull) for pull in pulls]
        last = ((n - 1 - held[0]) - (fit - held[1])) / rest  # as tr PV = n - 1 and y'PVPy = y'Py
        return log_v + math.log(one[0, 0]) + fit, 2 * sds * np.append(pulls[0] - pulls[1], last)

    return deviance


def _minimum(deviance: Deviance, start: Array) -> tuple[Array, float]:
    """Lowest point: the deviance is an even, smooth function of each standard deviation."""
    from scipy.optimize import minimize

    found = minimize(deviance, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-11, "gtol": 1e-5})
    return np.abs(found.x), float(found.fun)


def _interval(deviance: Deviance, best: Array, lowest: float, place: int) -> tuple[float, float]:
    """Values of one standard deviation whose profiled deviance is less than `_DROP` above the lowest."""
    from scipy.optimize import brentq

    others = np.maximum(np.delete(best, place), 0.05)

    def above(sd: float) -> float:
        def of_others(rest: Array) -> tuple[float, Array]:
            value, gradient = deviance(np.insert(rest, place, sd))
            return value, np.delete(gradient, place)

        return _minimum(of_others, others)[1] - lowest - _DROP

    top = float(best[place])
    low = 0.0 if above(0.0) < 0 else brentq(above, 0.0, top, xtol=1e-3)
    high = max(2 * top, 0.1)
    while above(high) < 0 and high < 1e3:
        high *= 2
    return low, brentq(above, top, high, xtol=1e-3) if high < 1e3 else math.inf
