"""Disentanglement against closed forms, other implementations and embeddings of which the score is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from bie.metrics.disentanglement import (
    BINS,
    SAMPLE,
    Forests,
    branched,
    dci_completeness,
    dci_disentanglement,
    dci_informativeness,
    factors_known,
    grow,
    mig,
    mutual_information,
    two_dimensions,
)

Floats = NDArray[np.float64]
N_FACTORS = 3


def factors(n: int = 1500, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).integers(8, size=(n, N_FACTORS)).astype(np.float64) - 3.5


def noise(n: int = 1500, d: int = 3, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


def scores(z_nd: Floats, factor_nf: Floats) -> list[float]:
    forests = grow(z_nd, factor_nf, seed=0)
    parts = (dci_disentanglement, dci_completeness, dci_informativeness)
    return [mig(z_nd, factor_nf), *(part(forests) for part in parts)]


def mig_by_histograms(z_nd: Floats, factor_nf: Floats) -> float:
    """The published recipe, by scikit-learn: equal-frequency bins through ranks."""
    gaps = []
    bins = [z_n.argsort().argsort() * BINS // len(z_n) for z_n in z_nd.T]
    for value_n in factor_nf.T:
        level_n = np.unique(value_n, return_inverse=True)[1]
        known = sorted(mutual_info_score(level_n, bin_n) for bin_n in bins)
        gaps.append((known[-1] - known[-2]) / entropy(np.bincount(level_n)))
    return float(np.mean(gaps))


def test_a_dimension_for_each_factor_scores_one_whatever_its_scale() -> None:
    v_nf = factors()
    z_nd = np.c_[np.exp(v_nf[:, ::-1]) * [1, -50, 1e-3] + 7, noise(d=2)]
    assert scores(z_nd, v_nf) == pytest.approx([1, 1, 1, 1], abs=0.03)


def test_noise_scores_nothing() -> None:
    assert scores(noise(d=5), factors()) == pytest.approx([0, 0, 0, 0], abs=0.03)


def test_all_in_two_dimensions_alike_has_no_gap_and_is_informative() -> None:
    """Two factors turned by 45 degrees: each dimension knows both, neither is ahead."""
    v_nf = factors()[:, :2]
    z_nd = v_nf @ np.array([[1, 1], [-1, 1]])
    gap, disentangled, complete, informative = scores(z_nd, v_nf)
    assert gap == pytest.approx(0, abs=0.03)
    assert max(disentangled, complete) < 0.1
    assert informative > 0.95


def test_a_factor_in_two_dimensions_is_disentangled_but_not_complete() -> None:
    v_nf = factors()
    z_nd = np.c_[v_nf + 0.5 * noise(), v_nf + 0.5 * noise(seed=2)]
    gap, disentangled, complete, _ = scores(z_nd, v_nf)
    assert gap < 0.1
    assert disentangled > 0.9
    assert complete == pytest.approx(1 - np.log(2) / np.log(6), abs=0.05)


def test_gap_is_that_of_another_implementation() -> None:
    v_nf = factors()
    z_nd = np.c_[v_nf @ noise(3, 3), noise(d=1)] + 0.3 * noise(d=4, seed=3)
    assert mig(z_nd, v_nf) == pytest.approx(mig_by_histograms(z_nd, v_nf), abs=0.005)


def test_mutual_information_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    a_n = rng.integers(6, size=400)
    b_n = (a_n + rng.integers(3, size=400)) % 5
    assert mutual_information(a_n, b_n) == pytest.approx(mutual_info_score(a_n, b_n))


def test_shares_of_importance_have_the_entropies_of_the_definition() -> None:
    importance_df = np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75], [0.0, 0.0]])
    forests = Forests(importance_df, np.array([1.2, -0.4]))
    focus = [1, 1 - entropy([2, 1], base=2), 1]
    assert dci_disentanglement(forests) == pytest.approx(np.dot(focus, [0.25, 0.375, 0.375]))
    ends = [1 - entropy([1, 1], base=4), 1 - entropy([1, 3], base=4)]
    assert dci_completeness(forests) == pytest.approx(np.mean(ends))
    assert dci_informativeness(forests) == 0.5  # clipped to 0 and 1


def test_what_cannot_be_told_apart_has_a_reason() -> None:
    assert factors_known(None) == "generative factors not known"
    assert factors_known(factors()[:, :1]) == "fewer than two generative factors that vary"
    assert factors_known(factors() * [1, 0, 1]) == "fewer than two generative factors that vary"
    assert factors_known(factors()) is None
    assert factors_known(factors()[:, :2]) is None
    assert two_dimensions(noise(d=1)) == "a single latent dimension"
    assert two_dimensions(noise(d=2)) is None


def test_trees_of_few_cells_have_no_branch() -> None:
    forests = grow(noise(12), factors(12), seed=0)
    assert branched(forests) == "too few cells for a tree with two leaves"
    assert branched(grow(noise(100), factors(100), seed=0)) is None
    for metric in (dci_disentanglement, dci_completeness, dci_informativeness):
        assert metric.needs[-1] is branched


def test_a_sample_is_said_where_it_is_one() -> None:
    (caveat,) = dci_completeness.caveats
    assert caveat(np.zeros((SAMPLE, 1))) is None
    assert "drawn at random" in (caveat(np.zeros((SAMPLE + 1, 1))) or "")
