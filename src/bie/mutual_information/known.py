"""Pairs of variables whose mutual information is known, to hold estimators against.

====================  =====================================================  ============================
kind                  x and y                                                I(x; y), nats
====================  =====================================================  ============================
gaussian_gaussian     both N(0, I) in d dimensions, corr(x_i, y_i) = rho     ``-d/2 ln(1 - rho^2)``
gaussian_lognormal    x = exp(z), y of 2 dimensions, corr(z, y_1) = rho      ``-1/2 ln(1 - rho^2)``
gaussian_categorical  x a class, y given x is N(m_x 1, s_x^2 I) of d         by quadrature, `of_classes`
bernoulli_mixture     x fair, y a mixture of gaussians for either x          by quasi-Monte Carlo
====================  =====================================================  ============================

The first is that of Belghazi et al. 2018, figure 1. A mutual information does not change with a monotone map
of one variable, so that of the second is that of z and y. 13 cases of three classes and 7 of ten, and the
mixtures, are those of the 2019 study (suswei/single-cell-rna-seq).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bie.config import Pairs

Floats = NDArray[np.float64]

_MIXTURE_SEED = 8
"""Of the centres of `bernoulli_mixture`, which are part of the distribution."""
_POINTS = 2**13
"""Of the quasi-Monte Carlo integral, for each component: an error below 0.001 nats."""


@dataclass(frozen=True)
class Sample:
    """Draws of a pair.

    Attributes
    ----------
    x_nd, y_nd
        Rows belong together. A discrete x is one-hot.
    class_n
        Codes of a discrete x; None where x is continuous.
    """

    x_nd: Floats
    y_nd: Floats
    class_n: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Classes:
    """Classes with an isotropic gaussian each, whose centres lie on the diagonal.

    Attributes
    ----------
    share, centre, sd
        Of each class: probability, every coordinate of its centre, sd in each dimension.
    """

    share: tuple[float, ...]
    centre: tuple[float, ...]
    sd: tuple[float, ...]


_NEAR, _SPREAD = (0.4, 0.5, 0.8), (0.2, 0.3, 0.25)
_FAR, _WIDE = (3.0, 5.0, 9.0), (2.0, 3.0, 2.5)
_SKEWED = (0.1, 0.3, 0.6)
_THIRDS = (0.33, 0.33, 0.34)
_TENTHS = (0.1,) * 10
_GROWING = (1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 8.0, 8.0, 10.0, 10.0)


def _steps(step: float) -> tuple[float, ...]:
    return tuple(step * i for i in range(10))


CLASSES = {
    **{
        f"three_{i + 1}": Classes((0.1176 + 0.1 * i, 0.5882 - 0.1 * i, 0.2942), _NEAR, _SPREAD)
        for i in range(6)
    },
    "three_7": Classes((0.7176, 0.0882, 0.1942), _NEAR, _SPREAD),
    "three_8": Classes(_SKEWED, (0.3, 0.5, 0.9), _SPREAD),
    "three_9": Classes(_SKEWED, _FAR, _SPREAD),
    "three_10": Classes(_SKEWED, _FAR, _WIDE),
    "three_11": Classes(_THIRDS, (3.0, 9.0, 18.0), _SPREAD),
    "three_12": Classes((0.9, 0.05, 0.05), (3.0, 9.0, 18.0), _SPREAD),
    "three_13": Classes(_THIRDS, (5.0, 15.0, 30.0), _SPREAD),
    "ten_0": Classes(_TENTHS, (0.0,) * 10, (1.0,) * 10),
    "ten_1": Classes(_TENTHS, _steps(2), (1.0,) * 10),
    "ten_2": Classes(
        tuple(0.01 + 0.02 * i for i in range(10)),
        (0.0, 0.0, 100.0, 100.0, 200.0, 200.0, 0.0, 0.0, 0.0, 0.0),
        (1.0, 1.0, 20.0, 20.0, 40.0, 40.0, 1.0, 1.0, 1.0, 1.0),
    ),
    "ten_3": Classes(_TENTHS, (0.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0), (1.0,) + (1.5,) * 9),
    "ten_4": Classes(_TENTHS, (0.0, 2.0, 4.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0), (1.0,) * 10),
    "ten_5": Classes(_TENTHS, _steps(20), _GROWING),
    "ten_6": Classes((0.01,) * 5 + (0.03, 0.2, 0.2, 0.3, 0.22), _steps(20), _GROWING),
}
"""The study's cases by name: 13 of three classes (May 2019), 7 of ten (July 2019)."""


def draw(settings: "Pairs", rng: np.random.Generator) -> Sample:
    """Draw independent pairs."""
    n, d, rho = settings.n_pairs, settings.d, settings.rho
    if settings.kind == "gaussian_gaussian":
        x_nd, own_nd = rng.standard_normal((2, n, d))
        return Sample(x_nd, rho * x_nd + np.sqrt(1 - rho**2) * own_nd)
    if settings.kind == "gaussian_lognormal":
        z_n1, y_nd = rng.standard_normal((n, 1)), rng.standard_normal((n, 2))
        y_nd[:, :1] = rho * z_n1 + np.sqrt(1 - rho**2) * y_nd[:, :1]
        return Sample(z_n1 if settings.log_x else np.exp(z_n1), y_nd)
    centre_kmd, sd_k, share_k = _components(settings)
    class_n = rng.choice(len(share_k), n, p=share_k)
    own_n = rng.integers(centre_kmd.shape[1], size=n)
    noise_nd = sd_k[class_n, None] * rng.standard_normal((n, d))
    return Sample(np.eye(len(share_k))[class_n], centre_kmd[class_n, own_n] + noise_nd, class_n)


def truth(settings: "Pairs") -> float:
    """Mutual information of the pair, nats."""
    if settings.kind == "gaussian_gaussian":
        return float(-settings.d / 2 * np.log1p(-(settings.rho**2)))
    if settings.kind == "gaussian_lognormal":
        return float(-np.log1p(-(settings.rho**2)) / 2)
    if settings.kind == "gaussian_categorical":
        return of_classes(CLASSES[settings.case], settings.d)
    return _of_mixture(settings.d, settings.n_components, settings.mean_difference, settings.wide)


def _components(settings: "Pairs") -> tuple[Floats, Floats, Floats]:
    """Centres ``(k, m, d)`` of the m components of each of k classes, sd and share of each class."""
    if settings.kind == "gaussian_categorical":
        known = CLASSES[settings.case]
        centre_km1 = np.array(known.centre)[:, None, None]
        share_k = np.array(known.share) / sum(known.share)
        return np.repeat(centre_km1, settings.d, axis=2), np.array(known.sd), share_k
    mixture = settings.d, settings.n_components, settings.mean_difference, settings.wide
    return *_mixture(*mixture), np.array([0.5, 0.5])


def _mixture(d: int, n_components: int, mean_difference: float, wide: bool) -> tuple[Floats, Floats]:
    """Centres ``(2, m, d)``, those of the second class shifted in every dimension; sd of each class."""
    centre_md = np.random.RandomState(_MIXTURE_SEED).standard_normal((n_components, d))
    sd_k = np.array([1.0, 0.9 * mean_difference if wide else 1.0])
    return np.stack([centre_md, centre_md + mean_difference]), sd_k


@lru_cache(maxsize=100)
def of_classes(classes: Classes, d: int) -> float:
    """Mutual information of a class and its gaussian in d dimensions, by quadrature, to 4 digits and more.

    ``sum_k p_k E_k[ln f_k / f]``. All densities depend on y by its coordinate u on the diagonal and its
    distance r from it alone, so that two nested integrals do, over u and ln r, by the trapezoid rule, which
    for smooth functions that vanish at both ends converges exponentially (Trefethen & Weideman 2014).
    """
    from scipy.special import gammaln

    share_k = np.array(classes.share) / sum(classes.share)
    centre_k, sd_k = np.array(classes.centre) * np.sqrt(d), np.array(classes.sd)
    u, t = np.linspace(-9, 9, 901), np.linspace(-20, 3, 231) if d > 1 else np.zeros(1)
    weight_u = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * (u[1] - u[0])
    weight_t = np.ones(1)
    if d > 1:  # chi with d - 1 degrees of freedom, in ln r
        log_density = (d - 1) * t - np.exp(2 * t) / 2 - (d - 3) / 2 * np.log(2) - gammaln((d - 1) / 2)
        weight_t = np.exp(log_density) * (t[1] - t[0])
    total = 0.0
    for p, centre, sd in zip(share_k, centre_k, sd_k, strict=True):
        r2_t = (np.exp(t) * sd) ** 2 if d > 1 else np.zeros(1)
        along_uk = -0.5 * (((centre + sd * u)[:, None] - centre_k) / sd_k) ** 2 - d * np.log(sd_k)
        log_utk = along_uk[:, None] - 0.5 * r2_t[None, :, None] / sd_k**2
        own_ut = log_utk[..., int(np.flatnonzero((centre_k == centre) & (sd_k == sd))[0])]
        # the sum has p_k for its own class; nine sd from a centre no other density is too large for exp
        ratio_ut = -np.log(np.exp(log_utk - own_ut[..., None]) @ share_k)
        total += p * float(weight_u @ ratio_ut @ weight_t)
    return float(total)


@lru_cache(maxsize=100)
def _of_mixture(d: int, n_components: int, mean_difference: float, wide: bool) -> float:
    """As `of_classes`, by a fixed Sobol sequence around each centre."""
    from scipy.special import logsumexp
    from scipy.stats import norm, qmc

    centre_kmd, sd_k = _mixture(d, n_components, mean_difference, wide)
    noise_sd = norm.ppf(qmc.Sobol(d, rng=0).random(_POINTS))
    terms: list[float] = []
    for k, sd in enumerate(sd_k):
        for centre_d in centre_kmd[k]:
            log_sk = _log_densities(centre_d + sd * noise_sd, centre_kmd, sd_k)
            terms.append(float((log_sk[:, k] - logsumexp(log_sk, axis=1) + np.log(2)).mean()))
    return float(np.mean(terms))


def _log_densities(y_sd: Floats, centre_kmd: Floats, sd_k: Sequence[float] | Floats) -> Floats:
    """Log density of some points in the mixture of each class, up to what all have in common: ``(s, k)``."""
    from scipy.special import logsumexp

    columns = []
    for centre_md, sd in zip(centre_kmd, sd_k, strict=True):
        square_sm = (y_sd**2).sum(1)[:, None] - 2 * y_sd @ centre_md.T + (centre_md**2).sum(1)
        columns.append(logsumexp(-0.5 * square_sm / sd**2, axis=1) - y_sd.shape[1] * np.log(sd))
    return np.stack(columns, axis=1)
