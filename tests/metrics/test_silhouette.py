"""The blocked silhouette beside scikit-learn's, which holds whole rows of distances."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from bie.metrics.silhouette import silhouette_widths


@pytest.mark.parametrize("n_cells", [2, 255, 256, 257, 700])
def test_equals_scikit_learn_whatever_the_tiles(n_cells: int) -> None:
    rng = np.random.default_rng(n_cells)
    code_n = rng.integers(5, size=n_cells) * 2  # codes without cells between them
    code_n[0] = 11  # the only cell of its group
    code_n[-1] = 0
    z_nd = rng.normal(size=(n_cells, 4)) + code_n[:, None] / 4 + 100  # far from the origin
    if n_cells > 2:
        reference = silhouette_samples(z_nd, code_n)
        np.testing.assert_allclose(silhouette_widths(z_nd, code_n), reference, rtol=0, atol=1e-9)
    else:
        assert silhouette_widths(z_nd, code_n).tolist() == [0.0, 0.0]


def test_duplicates_have_no_distance() -> None:
    z_nd = np.repeat([[0.0, 0.0], [3.0, 4.0]], 3, axis=0)
    code_n = np.array([0, 0, 1, 1, 1, 1])
    other = (5 - 5 / 3) / 5  # b = 5, a = 5 / 3
    expected = [1.0, 1.0, -1.0, other, other, other]
    np.testing.assert_allclose(silhouette_widths(z_nd, code_n), expected, atol=1e-7)


def test_memory_does_not_grow_with_the_square_of_the_cells() -> None:
    rng = np.random.default_rng(0)
    z_nd, code_n = rng.normal(size=(4000, 3)), rng.integers(3, size=4000)
    tracemalloc.start()
    silhouette_widths(z_nd, code_n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 4000 * 4000 / 32  # of all distances at once
