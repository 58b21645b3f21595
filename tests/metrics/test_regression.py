"""Variance that the batch explains."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from bie.metrics.regression import explained_by_batch, pcr


def test_equals_a_regression_of_each_component() -> None:
    rng = np.random.default_rng(0)
    batch_n = rng.choice(4, 200, p=[0.5, 0.3, 0.2, 0.0])  # of the fourth there is no cell
    z_nd = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    z_nd[:, 0] += batch_n
    pca = PCA().fit(z_nd)
    part_nd, batch_nb = pca.transform(z_nd), np.eye(4)[batch_n]
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
