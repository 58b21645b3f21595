import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_regression

from bie.mutual_information.nearest import ksg


def test_it_is_scikit_learns_in_one_dimension() -> None:
    rng = np.random.default_rng(0)
    x_n1 = rng.standard_normal((300, 1))
    y_n1 = 0.8 * x_n1 + 0.6 * rng.standard_normal((300, 1))
    x, y = (v / v.std() for v in (x_n1, y_n1))  # as scikit-learn does
    expected = mutual_info_regression(x_n1, y_n1[:, 0], n_neighbors=3, random_state=0)[0]
    assert ksg(x, y) == pytest.approx(expected, abs=1e-6)


def test_it_finds_dependence_in_several_dimensions_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    x_nd = rng.standard_normal((1500, 2))
    y_nd = 0.7 * x_nd + np.sqrt(1 - 0.49) * rng.standard_normal((1500, 2))
    assert ksg(x_nd, y_nd) == pytest.approx(-np.log(1 - 0.49), abs=0.06)
    assert ksg(x_nd, rng.standard_normal((1500, 2))) == pytest.approx(0, abs=0.05)
