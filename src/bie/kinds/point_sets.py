"""Sets of points in the plane, of classes that differ in one respect and in nothing else.

Class i of `N_CLASSES` is a distribution turned by the angle ``t_i = i pi / N_CLASSES``:

- *covariance*: ``x = A_i g`` with g ~ N(0, I) and ``A_i = R(t_i) [[1, .5], [.5, 1]] R(t_i)'``, so that the
  covariance is A_i^2, the same ellipse (sd 3 : 1) in another direction; all means are 0;
- *shape*: ``x = R(t_i) (e - 1, g)`` with e ~ Exponential(1): covariance I and mean 0 in every class, skewed
  in another direction.

The first is the toy of the CytoSummaryNet authors (broadinstitute/FeatureAggregation_single_cell), classes
held out as there. Standardised, its classes i and N_CLASSES - i are one: a correlation is all that is left.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.config.sets import Sets

N_CLASSES = 10
HELD_OUT = (0, 4, 5, 7)
"""Classes whose sets no network is trained on."""

Floats = NDArray[np.float64]


class PointSets(NamedTuple):
    """Sets, one after the other class by class.

    Attributes
    ----------
    x_smd
        Points: s sets of m points in d = 2 dimensions.
    class_s
        Class of each set.
    """

    x_smd: Floats
    class_s: NDArray[np.int64]

    def of(self, classes: tuple[int, ...]) -> "PointSets":
        """The sets of some classes."""
        chosen = np.isin(self.class_s, classes)
        return PointSets(self.x_smd[chosen], self.class_s[chosen])


def draw(settings: Sets, rng: np.random.Generator) -> PointSets:
    """Draw the sets of all classes and transform each class by its own moments."""
    parts = []
    for i in range(N_CLASSES):
        x_nd = _points(settings.differ, i, settings.n_sets * settings.n_points, rng)
        x_nd = transformed(x_nd, settings.transform, settings.reg)
        parts.append(x_nd.reshape(settings.n_sets, settings.n_points, 2))
    return PointSets(np.concatenate(parts), np.repeat(np.arange(N_CLASSES), settings.n_sets))


def _points(differ: str, i: int, n: int, rng: np.random.Generator) -> Floats:
    angle = math.pi * i / N_CLASSES
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    g_nd = rng.standard_normal((n, 2))
    if differ == "covariance":
        found: Floats = g_nd @ (turn @ np.array([[1.0, 0.5], [0.5, 1.0]]) @ turn.T)
        return found
    g_nd[:, 0] = rng.exponential(size=n) - 1
    turned: Floats = g_nd @ turn.T
    return turned


def transformed(x_nd: Floats, how: str, reg: float) -> Floats:
    """Points with mean and sd of each dimension 0 and 1 (*standardise*), or whitened (*sphere*).

    Sphering is ZCA: ``W = U diag(1 / sqrt(s + reg)) U'`` of the eigenvalues s of the covariance. The larger
    `reg`, the more of the covariance is left.
    """
    if how == "none":
        return x_nd
    x_nd = x_nd - x_nd.mean(axis=0)
    if how == "standardise":
        standard: Floats = x_nd / x_nd.std(axis=0)
        return standard
    values, u = np.linalg.eigh(np.cov(x_nd.T))
    sphered: Floats = x_nd @ (u / np.sqrt(values + reg)) @ u.T
    return sphered
