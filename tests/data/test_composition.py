import numpy as np
import pytest

from bie.data.composition import batch_and_type, batch_shares, pbmc_shares, type_shares

HALVES = batch_shares(2, 0.5)


def test_the_first_batch_has_its_share_and_the_others_the_rest() -> None:
    assert batch_shares(3, 0.5) == pytest.approx([0.5, 0.25, 0.25])


def test_types_are_alike_in_all_batches_without_a_shift() -> None:
    assert type_shares(HALVES, 5, 0.0, np.random.default_rng(0)) == pytest.approx(np.full((2, 5), 0.1))


def test_nine_types_have_the_shares_of_pbmc() -> None:
    pbmc = np.array([1621, 2227, 4996, 1448, 339, 351, 88, 457, 463]) / 11990
    types = type_shares(HALVES, 9, 0.0, np.random.default_rng(0))
    assert types == pytest.approx(np.tile(pbmc / 2, (2, 1)))
    assert pbmc_shares().sum(axis=0) == pytest.approx(pbmc)
    assert pbmc_shares().sum(axis=1) == pytest.approx([8030 / 11990, 3960 / 11990])


def test_a_shift_makes_batches_differ_in_types_but_not_in_size() -> None:
    shares = type_shares(batch_shares(3, 0.5), 5, 0.7, np.random.default_rng(0))
    assert shares.sum(axis=1) == pytest.approx([0.5, 0.25, 0.25])
    assert np.ptp(shares / shares.sum(axis=1, keepdims=True), axis=0).min() > 0.01


def test_every_share_is_met_to_within_one_cell() -> None:
    batch, kind = batch_and_type(101, pbmc_shares(), np.random.default_rng(0))
    cells = np.bincount(9 * batch + kind, minlength=18).reshape(2, 9)
    assert cells.sum() == 101
    assert np.abs(cells - 101 * pbmc_shares()).max() < 1
