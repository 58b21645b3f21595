"""Does each latent dimension stand for one generative factor? Known where the factors are (simulations)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import not_collapsed

BINS = 20
"""Bins of a latent dimension, of about as many cells each; 20 as in disentanglement_lib (Locatello 2019)."""
TREES, LEAF, SAMPLE = 20, 5, 4_000
"""Trees of a forest, cells of a leaf at least, cells that forests are grown on at most."""

_CHEN = "Chen et al. 2018, arXiv:1802.04942"
_EASTWOOD = "Eastwood & Williams 2018, openreview By-7dz-AZ"


class Forests(NamedTuple):
    """What random forests need to tell the factors from the latent vector.

    Attributes
    ----------
    importance_df
        Share of latent dimension d in the prediction of factor f; columns sum to 1, or are 0 where no tree
        has a branch.
    r2_f
        Variance of each factor that is predicted in cells that the trees have not seen.
    """

    importance_df: NDArray[np.float64]
    r2_f: NDArray[np.float64]


def factors_known(factor_nf: NDArray[np.float64] | None) -> str | None:
    """Two generative factors or more are known, and all vary."""
    if factor_nf is None:
        return "generative factors not known"
    varies_f = (factor_nf != factor_nf[:1]).any(axis=0)
    return None if len(varies_f) > 1 and varies_f.all() else "fewer than two generative factors that vary"


def two_dimensions(z_nd: Embedding) -> str | None:
    """Two latent dimensions or more."""
    return None if z_nd.shape[1] > 1 else "a single latent dimension"


def branched(factor_forests: Forests) -> str | None:
    """Some tree of each forest has a branch: leaves of `LEAF` cells leave no room for one among few cells."""
    has_branches = factor_forests.importance_df.any(axis=0).all()
    return None if has_branches else "too few cells for a tree with two leaves"


def _grown_on_a_sample(z_nd: Embedding) -> str | None:
    """Caveat of many cells."""
    return f"{len(z_nd):,} cells: forests on {SAMPLE:,}, drawn at random" if len(z_nd) > SAMPLE else None


_FORESTS_NEED = (factors_known, two_dimensions, not_collapsed, branched)


@metric(
    Card("MIG", "higher", (0.0, 1.0), "", _CHEN, headline=True, optional=True), factors_known, two_dimensions
)
def mig(z_nd: Embedding, factor_nf: NDArray[np.float64]) -> float:
    """Mutual information gap: how far the best dimension for a factor is ahead of the second best.

    The mean over the factors of ``(I(z_1; v) - I(z_2; v)) / H(v)``, from counts of cells; z_1 and z_2 are the
    dimensions that know most and second most of factor v. Dimensions are cut into `BINS` bins of equal
    frequency, so that no monotone change of one matters. 1: each factor in a dimension of its own, nowhere
    else; 0: spread, or lost. Chance adds about ``(BINS - 1)(levels - 1) / 2n`` nats to either term.
    """
    bins = [_codes(z_n) for z_n in z_nd.T]
    gaps = []
    for value_n in factor_nf.T:
        level_n = _codes(value_n)
        *_, second, first = sorted(mutual_information(bin_n, level_n) for bin_n in bins)
        gaps.append((first - second) / mutual_information(level_n, level_n))
    return float(np.mean(gaps))


@metric(
    Card("DCI disentanglement", "higher", (0.0, 1.0), "", _EASTWOOD, headline=True, optional=True),
    *_FORESTS_NEED,
    caveats=(_grown_on_a_sample,),
)
def dci_disentanglement(factor_forests: Forests) -> float:
    """1: each dimension is needed for one factor at most; 0: each for all alike.

    ``sum_d rho_d (1 - H_F(p_d))``: p_d is how the importance of dimension d is shared among the F factors,
    H_F its entropy to the base F, rho_d the dimension's share of all importance.
    """
    importance_df = factor_forests.importance_df
    weight_d = importance_df.sum(axis=1)
    used = weight_d > 0
    focus_d = 1 - entropy(importance_df[used]) / np.log(importance_df.shape[1])
    return float(np.average(focus_d, weights=weight_d[used]))


@metric(
    Card("DCI completeness", "higher", (0.0, 1.0), "", _EASTWOOD, optional=True),
    *_FORESTS_NEED,
    caveats=(_grown_on_a_sample,),
)
def dci_completeness(factor_forests: Forests) -> float:
    """1: each factor is in one dimension; 0: in all alike. The mean of ``1 - H_D(p_f)`` over the factors."""
    importance_df = factor_forests.importance_df
    return float(np.mean(1 - entropy(importance_df.T) / np.log(importance_df.shape[0])))


@metric(
    Card("DCI informativeness", "higher", (0.0, 1.0), "", _EASTWOOD, headline=True, optional=True),
    *_FORESTS_NEED,
    caveats=(_grown_on_a_sample,),
)
def dci_informativeness(factor_forests: Forests) -> float:
    """How much of the factors' variance forests find in the embedding: R^2, 0 at least, mean over factors."""
    return float(np.clip(factor_forests.r2_f, 0, 1).mean())


def grow(z_nd: Embedding, factor_nf: NDArray[np.float64], seed: int) -> Forests:
    """Predict each factor from the latent vector, as Eastwood & Williams (2018) do by random forests.

    Importance is the decrease of the squared error by splits along a dimension. R^2 is that of cells outside
    the bootstrap sample of a tree, which has half as many draws as there are cells.
    """
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(seed)
    if len(z_nd) > SAMPLE:
        drawn = rng.choice(len(z_nd), SAMPLE, replace=False)
        z_nd, factor_nf = z_nd[drawn], factor_nf[drawn]
    settings = {"min_samples_leaf": LEAF, "max_samples": max(len(z_nd) // 2, 1), "oob_score": True}
    forests = [
        RandomForestRegressor(TREES, **settings, random_state=seed + f).fit(z_nd, value_n)
        for f, value_n in enumerate(factor_nf.T)
    ]
    return Forests(
        np.stack([forest.feature_importances_ for forest in forests], axis=1),
        np.array([forest.oob_score_ for forest in forests]),
    )


def mutual_information(a_n: Codes, b_n: Codes) -> float:
    """Of two discrete variables, by their frequencies (nats); of one with itself, its entropy."""
    count_ab = np.zeros((a_n.max() + 1, b_n.max() + 1))
    np.add.at(count_ab, (a_n, b_n), 1.0)
    share_ab = count_ab / len(a_n)
    both = float(entropy(share_ab.reshape(1, -1))[0])
    return float(entropy(share_ab.sum(axis=1)[None])[0] + entropy(share_ab.sum(axis=0)[None])[0]) - both


def entropy(weight_rk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy (nats) of each row of weights, which need not sum to 1 but are not all 0."""
    from scipy.special import xlogy

    share_rk = weight_rk / weight_rk.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = -np.asarray(xlogy(share_rk, share_rk), np.float64).sum(axis=1)
    return found


def _codes(value_n: NDArray[np.float64]) -> Codes:
    """Values as codes: each its own where they are few, else `BINS` bins of equal frequency."""
    levels, code_n = np.unique(value_n, return_inverse=True)
    if len(levels) <= BINS:
        return code_n.astype(np.int64)
    edges = np.quantile(value_n, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, value_n, side="right")
