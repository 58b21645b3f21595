"""Variance that the batch explains."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from bie.config import Metrics
from bie.metrics import regression
from bie.metrics.part import Part
from bie.metrics.regression import explained_by_batch, pcr
from bie.seeds import Streams

SETTINGS = Metrics.model_validate(
    {"names": "bie", "kmeans": {"n_init": 1, "clusters": "present"}, "be": {"neighbours": 50, "pools": None}}
)


def test_equals_a_regression_of_each_component() -> None:
    rng = np.random.default_rng(0)
    batch_n = rng.choice(4, 200, p=[0.5, 0.0, 0.3, 0.2])  # of the second there is no cell
    batch_n[7] = 4  # of the fifth one
    z_nd = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    z_nd[:, 0] += batch_n
    pca = PCA().fit(z_nd)
    part_nd, batch_nb = pca.transform(z_nd), np.eye(5)[batch_n]
    r2_d = [LinearRegression().fit(batch_nb, y_n).score(batch_nb, y_n) for y_n in part_nd.T]
    expected = np.average(r2_d, weights=pca.explained_variance_)
    assert explained_by_batch(z_nd, batch_n) == pytest.approx(expected, abs=1e-9)


def test_nothing_left_is_one_and_more_than_before_is_zero() -> None:
    rng = np.random.default_rng(0)
    batch_n = np.arange(400) % 2
    z_nd = rng.normal(size=(400, 3))
    z_nd -= np.stack([z_nd[batch_n == b].mean(axis=0) for b in (0, 1)])[batch_n]
    before = z_nd + batch_n[:, None]
    assert pcr(z_nd, batch_n, (before, batch_n)) == pytest.approx(1)
    assert pcr(before, batch_n, (before, batch_n)) == pytest.approx(0)
    assert pcr(before + batch_n[:, None], batch_n, (before, batch_n)) == 0


def test_it_is_the_share_that_is_gone() -> None:
    before, after = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([[0.0], [2.0], [0.0], [4.0]])
    batch_n = np.array([0, 0, 1, 1])  # sums of squares 16 of 20, 1 of 11
    assert pcr(after, batch_n, (before, batch_n)) == pytest.approx((16 / 20 - 1 / 11) / (16 / 20))


def test_fifty_components_of_the_counts_were_before() -> None:
    rng = np.random.default_rng(0)
    batch_n, x_ng = np.arange(60) % 2, sp.csr_matrix(rng.poisson(2.0, (60, 55)).astype(np.float32))
    part = Part(
        rng.normal(size=(60, 2)), batch_n, 2, None, 0, SETTINGS, Streams(0), counts_of=x_ng.__getitem__
    )
    component_nd, of_n = part.uncorrected
    assert component_nd.shape == (60, 50)
    np.testing.assert_array_equal(of_n, batch_n)
    _, has_counts, _ = pcr.needs
    assert has_counts(True) is None
    assert has_counts(False) == "no counts of these cells to compare with"


def test_of_many_cells_it_says_that_a_sample_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    (caveat,) = pcr.caveats
    assert caveat(np.empty((50_000, 1))) is None
    assert caveat(np.empty((50_001, 1))) == "before: components of 50,000 of 50,001 cells, drawn at random"
    monkeypatch.setattr(regression, "SAMPLE", 40)
    rng = np.random.default_rng(0)
    x_ng = sp.csr_matrix(rng.poisson(2.0, (60, 30)).astype(np.float32))
    part = Part(
        rng.normal(size=(60, 2)), np.arange(60), 60, None, 0, SETTINGS, Streams(0), counts_of=x_ng.__getitem__
    )
    component_nd, row_m = part.uncorrected
    assert len(component_nd) == 40
    assert (np.diff(row_m) > 0).all()  # no cell twice
