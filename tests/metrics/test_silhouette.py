"""The blocked silhouette beside scikit-learn's, which holds whole rows of distances."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from sklearn.metrics import silhouette_samples

from bie.metrics.batch_silhouette import bras
from bie.metrics.silhouette import Widths, silhouette_widths, stratified, widths_of


@pytest.mark.parametrize("n_cells", [2, 255, 256, 257, 700])
def test_equals_scikit_learn_whatever_the_tiles(n_cells: int) -> None:
    rng = np.random.default_rng(n_cells)
    code_n = rng.integers(5, size=n_cells) * 2  # codes without cells between them
    code_n[0] = 11  # the only cell of its group
    code_n[-1] = 0
    code_n[1 : 1 + 2 * (n_cells > 2)] = 13  # two cells
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


def test_cells_far_from_the_origin_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    z_nd, code_n = rng.normal(size=(300, 4)), rng.integers(3, size=300)
    far_m = silhouette_widths(z_nd + 1e5, code_n)
    np.testing.assert_allclose(far_m, silhouette_samples(z_nd, code_n), rtol=0, atol=1e-7)


def test_the_standard_error_of_few_cells_by_hand() -> None:
    widths = Widths(np.array([0.1, 0.3, 0.8]), np.arange(3), np.ones(3), np.array([0, 0, 1]), True)
    # of the first two: their variance .02, a mean of two, two thirds of all; a single cell tells of no spread
    assert widths.standard_error() == pytest.approx(2 / 3 * np.sqrt(0.02 / 2))


def test_memory_does_not_grow_with_the_square_of_the_cells() -> None:
    rng = np.random.default_rng(0)
    z_nd, code_n = rng.normal(size=(4000, 3)), rng.integers(3, size=4000)
    tracemalloc.start()
    silhouette_widths(z_nd, code_n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 4000 * 4000 / 32  # of all distances at once


def test_a_sample_is_each_beside_all_others() -> None:
    rng = np.random.default_rng(0)
    code_n = rng.integers(3, size=700)
    z_nd = rng.normal(size=(700, 4)) + code_n[:, None]
    row_m = np.sort(rng.choice(700, 300, replace=False))
    found = silhouette_widths(z_nd, code_n, row_m)
    np.testing.assert_allclose(found, silhouette_widths(z_nd, code_n)[row_m], atol=1e-9)


def test_the_standard_error_of_a_sample_is_that_of_its_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a hundred samples; groups of unlike size, whose widths differ."""
    rng = np.random.default_rng(0)
    code_n = np.repeat([0, 1, 2], [1500, 400, 100])
    z_nd = rng.normal(size=(2000, 2)) * np.array([1, 2, 0.3])[code_n, None] + code_n[:, None]
    whole = silhouette_widths(z_nd, code_n)
    monkeypatch.setattr("bie.metrics.silhouette.MOST_PAIRS", 300 * 2000)
    monkeypatch.setattr("bie.metrics.silhouette.FEWEST_ROWS", 100)
    monkeypatch.setattr("bie.metrics.silhouette.silhouette_widths", lambda z, code, rows: whole[rows])
    found = [widths_of(z_nd, code_n, seed) for seed in range(100)]
    assert all(widths.is_sample for widths in found)
    assert abs(np.mean([widths.mean() for widths in found]) - whole.mean()) < 0.005
    spread = np.std([widths.mean() for widths in found])
    assert np.mean([widths.standard_error() for widths in found]) == pytest.approx(spread, rel=0.25)


def test_bras_of_small_batches_equals_explicit_loops() -> None:
    """Batches of one, two and three cells within a type; a type of one batch is left out."""
    z_nd = np.random.default_rng(0).normal(size=(13, 3)) + 1
    batch_n = np.array([0, 0, 1, 1, 1, 2, 0, 0, 1, 1, 2, 2, 2])
    label_n = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    types = []
    for label in (0, 1):
        rows, kept = np.flatnonzero(label_n == label), []
        for i in rows:
            own = [cosine(z_nd[i], z_nd[j]) for j in rows if batch_n[j] == batch_n[i] and j != i]
            other = [cosine(z_nd[i], z_nd[j]) for j in rows if batch_n[j] != batch_n[i]]
            a, b = float(np.mean(own)) if own else 0.0, float(np.mean(other))
            kept.append(1 - abs(b - a) / max(a, b) if own else 1.0)
        types.append(np.mean(kept))
    assert bras(z_nd, batch_n, label_n) == pytest.approx(np.mean(types), abs=1e-12)


def test_cells_in_one_direction_are_not_told_apart_by_rounding() -> None:
    rng = np.random.default_rng(0)
    label_n, batch_n = rng.integers(5, size=1000), rng.integers(2, size=1000)
    z_nd = rng.normal(size=(5, 10))[label_n]
    assert bras(z_nd, batch_n, label_n) == 1


def test_a_sample_has_no_cell_twice_and_stands_for_all() -> None:
    code_n = np.repeat([0, 1], [500, 100])
    row_m, weight_m = stratified(code_n, 300, seed=0)
    assert np.bincount(code_n[row_m]).tolist() == [250, 50]
    assert len(set(row_m.tolist())) == len(row_m)
    assert weight_m.sum() == pytest.approx(600)
