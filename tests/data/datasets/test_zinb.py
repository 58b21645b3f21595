"""Spec G: the simulation against closed forms, and its batch effect as plain PCA sees it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from bie.data.cells import Cells
from bie.data.checks import find_problems, first_non_count
from bie.data.datasets import zinb
from bie.data.datasets.zinb import Zinb
from bie.errors import BadInput

NO_ZEROS: dict[str, Any] = {"zero_intercept": -100.0, "zero_slope": 0.0}
Settings = Callable[..., Zinb]


def pca(cells: Cells, total: float, rows: NDArray[np.bool_] | slice = slice(None)) -> NDArray[np.float64]:
    """20 principal components of log1p counts per `total`."""
    x_ng = cells.counts.toarray()[rows].astype(np.float64)
    z_nd: NDArray[np.float64] = PCA(20, random_state=0).fit_transform(
        np.log1p(x_ng / x_ng.sum(axis=1, keepdims=True) * total)
    )
    return z_nd


def entropy(p: Any) -> Any:
    return sum(-q * np.log(q, where=q > 0, out=np.zeros_like(q)) for q in (np.asarray(p), 1 - np.asarray(p)))


def batch_entropy(cells: Cells) -> float:
    neighbours = NearestNeighbors(n_neighbors=50).fit(pca(cells, 1e6)).kneighbors(return_distance=False)
    return float(entropy(cells.batch[neighbours].mean(axis=1)).mean())


def ceiling(share: float) -> float:
    j = np.arange(51)
    return float((binom.pmf(j, 50, share) * entropy(j / 50)).sum())


@pytest.mark.parametrize(("size", "shape"), [("smoke", (400, 100)), ("small", (4000, 500))])
def test_sizes_are_exact_and_the_cells_pass_the_checks_of_a_users_file(
    zinb_settings: Settings, size: str, shape: tuple[int, int]
) -> None:
    for seed in range(5):
        cells = zinb.load(zinb_settings(size=size, seed=seed))
        assert cells.counts.shape == shape
        assert cells.counts.dtype == np.float32
        assert first_non_count(cells.counts.data) is None
        assert find_problems(cells) == []


def test_same_settings_same_cells_and_other_seed_others(zinb_settings: Settings) -> None:
    first, again, other = (zinb.load(zinb_settings(size="smoke", seed=seed)) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256


def test_strength_of_the_batch_effect_leaves_the_rest_alone(zinb_settings: Settings) -> None:
    none, strong = (zinb.simulate(zinb_settings(preset=preset))[1] for preset in ("none", "strong"))
    assert (none.batch_n == strong.batch_n).all()
    assert (none.type_n == strong.type_n).all()
    assert (none.library_n == strong.library_n).all()
    assert (none.theta_g == strong.theta_g).all()


def test_batch_entropy_falls_with_batch_sd_from_its_ceiling(zinb_settings: Settings) -> None:
    grid, seeds = (0.0, 0.1, 0.3, 0.6, 1.0), (0, 1, 2)
    sets = [[zinb.load(zinb_settings(batch_sd=sd, n_cells=2000, seed=s)) for s in seeds] for sd in grid]
    found = [np.mean([batch_entropy(cells) for cells in same]) for same in sets]
    assert found[0] == pytest.approx(ceiling(0.33), abs=0.01)  # hubs: the sd over seeds is about 0.006
    assert (np.diff(found) < 0).all()
    assert found[3] < 0.02


def test_presets_are_none_mild_strong(zinb_settings: Settings) -> None:
    sds = [zinb_settings(preset=preset).batch_sd for preset in ("none", "mild", "strong")]
    assert sds == [0.0, 0.1, 0.6]


@pytest.mark.parametrize("seed", [0, 1])
def test_cell_types_can_be_found_within_a_batch_but_not_across(zinb_settings: Settings, seed: int) -> None:
    cells = zinb.load(zinb_settings(preset="strong", seed=seed))
    assert cells.label is not None
    for b in range(2):
        rows = cells.batch == b
        clusters = KMeans(5, n_init=10, random_state=0).fit_predict(pca(cells, 1e4, rows))
        assert adjusted_rand_score(cells.label[rows], clusters) > 0.9
    clusters = KMeans(5, n_init=10, random_state=0).fit_predict(pca(cells, 1e4))
    assert adjusted_rand_score(cells.label, clusters) < 0.5


def test_mean_and_variance_are_those_of_the_negative_binomial(zinb_settings: Settings) -> None:
    settings = zinb_settings(n_cells=20000, n_genes=40, n_types=1, library_sd=0.0, batch_sd=0.0, **NO_ZEROS)
    cells, truth = zinb.simulate(settings)
    x_ng = cells.counts.toarray().astype(np.float64)
    mean_g = np.exp(settings.library_mean) * truth.rho_kbg[0, 0]
    variance_g = mean_g + mean_g**2 / truth.theta_g
    deviation = (x_ng.mean(axis=0) - mean_g) / np.sqrt(variance_g / settings.n_cells)
    assert np.abs(deviation).max() < 4
    assert x_ng.var(axis=0) / variance_g == pytest.approx(np.ones(40), abs=0.15)
    poisson_g = x_ng.var(axis=0) / mean_g  # the control: without overdispersion this would be 1
    assert poisson_g.max() > 3


@pytest.mark.parametrize("zeros", [{}, NO_ZEROS, {"zero_intercept": -0.5, "zero_shift": 1.0}])
def test_zero_fraction_is_that_of_the_zinb(zinb_settings: Settings, zeros: dict[str, float]) -> None:
    cells, truth = zinb.simulate(zinb_settings(n_cells=3000, n_genes=100, **zeros))
    mean_ng = truth.mean_ng(slice(None))
    dropout_ng = truth.dropout(mean_ng, truth.batch_n[:, None])
    expected_ng = dropout_ng + (1 - dropout_ng) * (truth.theta_g / (truth.theta_g + mean_ng)) ** truth.theta_g
    zero_ng = cells.counts.toarray() == 0
    for b in range(2):
        rows = cells.batch == b
        sd = np.sqrt((expected_ng * (1 - expected_ng))[rows].sum()) / expected_ng[rows].size
        assert zero_ng[rows].mean() == pytest.approx(expected_ng[rows].mean(), abs=4 * sd)


def test_technical_zeros_at_mean_one_are_a_fifth(zinb_settings: Settings) -> None:
    truth = zinb.simulate(zinb_settings(size="smoke"))[1]
    assert truth.dropout(np.array(1.0), np.array(0)) == pytest.approx(1 / (1 + np.exp(1.4)), rel=1e-6)


def test_shares_of_batches_and_types(zinb_settings: Settings) -> None:
    cells = zinb.load(zinb_settings(n_batches=3, majority_share=0.5))
    assert cells.label is not None
    assert np.bincount(cells.batch) / 4000 == pytest.approx([0.5, 0.25, 0.25], abs=1e-3)
    for b in range(3):
        types = np.bincount(cells.label[cells.batch == b])
        assert types / types.sum() == pytest.approx([0.2] * 5, abs=2e-3)


def test_composition_shift_makes_batches_differ(zinb_settings: Settings) -> None:
    def distance(shift: float) -> float:
        cells = zinb.load(zinb_settings(composition_shift=shift))
        assert cells.label is not None
        shares = [np.bincount(cells.label[cells.batch == b], minlength=5) for b in range(2)]
        return float(np.abs(shares[0] / shares[0].sum() - shares[1] / shares[1].sum()).sum())

    assert distance(0.0) < 0.01 < 0.1 < distance(0.5) < distance(1.0)


def test_library_is_log_normal_and_shifts(zinb_settings: Settings) -> None:
    cells, truth = zinb.simulate(zinb_settings(library_shift=-1.0))
    for b, mean in enumerate((7.0, 6.0)):
        log_library = np.log(truth.library_n[cells.batch == b])
        assert log_library.mean() == pytest.approx(mean, abs=0.04)
        assert log_library.std() == pytest.approx(0.36, abs=0.02)


def test_interaction_makes_the_batch_effect_differ_between_types(zinb_settings: Settings) -> None:
    def spread(**changes: float) -> float:
        truth = zinb.simulate(zinb_settings(**changes))[1]
        effect_kg = np.log(truth.rho_kbg[:, 1] / truth.rho_kbg[:, 0])
        return float((effect_kg - effect_kg.mean(axis=1, keepdims=True)).std(axis=0).mean())

    assert spread(interaction_sd=0.0) == pytest.approx(0, abs=1e-6)
    assert spread(interaction_sd=0.5) == pytest.approx(0.5 * np.sqrt(2), rel=0.2)


def test_shares_of_expression_sum_to_one(zinb_settings: Settings) -> None:
    truth = zinb.simulate(zinb_settings(size="smoke"))[1]
    assert truth.rho_kbg.sum(axis=-1) == pytest.approx(np.ones((5, 2)))


def test_a_type_without_cells_is_no_label(zinb_settings: Settings) -> None:
    cells = zinb.load(zinb_settings(size="smoke", n_types=150, composition_shift=1.0))
    assert cells.label is not None
    assert cells.n_labels < 150
    assert (np.bincount(cells.label, minlength=cells.n_labels) > 0).all()


@pytest.mark.parametrize(
    "changes", [{"library_mean": 0.0}, {"n_cells": 20, "n_genes": 3000}, {"n_cells": 100, "n_batches": 100}]
)
def test_settings_that_leave_nothing_to_see_are_refused(
    zinb_settings: Settings, changes: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match=r"dataset=zinb: .*\. Raise dataset\.n_cells="):
        zinb.load(zinb_settings(**changes))
