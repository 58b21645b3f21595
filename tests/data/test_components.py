import numpy as np
import pytest
import scipy.sparse as sp

from bie.data import components
from bie.data.components import totals


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "BLOCK", 2)


@pytest.mark.parametrize("empty", [[], [0, 4], [2, 3], [0, 1, 2, 3, 4]])
def test_totals_are_those_of_the_dense_matrix_whichever_cells_are_empty(empty: list[int]) -> None:
    x_ng = np.random.default_rng(0).poisson(1.0, (5, 7)).astype(np.float32) + 1
    x_ng[empty] = 0
    np.testing.assert_array_equal(totals(sp.csr_matrix(x_ng)), x_ng.sum(axis=1, dtype=np.float64))


def test_totals_beyond_float32_are_exact() -> None:
    x_ng = np.full((1, 3), 2.0**24, np.float32) + np.float32(2)
    assert totals(sp.csr_matrix(x_ng)).tolist() == [3 * (2**24 + 2)]
