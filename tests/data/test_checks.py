import dataclasses
import re
from collections.abc import Callable

import numpy as np
import pytest

from bie.data.cells import Cells, canonical
from bie.data.checks import fault_of_indices, fault_of_pointers, find_problems, first_non_count
from bie.data.datasets import zinb
from bie.data.datasets.zinb import Zinb


@pytest.fixture
def cells(zinb_settings: Callable[..., Zinb]) -> Cells:
    return zinb.load(zinb_settings(size="smoke"))


@pytest.mark.parametrize("bad", [-1.0, 0.6931, np.inf, -np.inf, 2.0**24 + 2])
def test_first_non_count_finds_the_one_bad_value_in_any_block(bad: float) -> None:
    values = np.ones(2**21 + 5)
    assert first_non_count(values) is None
    values[2**21 + 2] = bad
    values[-1] = 0.5
    assert first_non_count(values) == bad


def test_nan_is_no_count() -> None:
    assert np.isnan(first_non_count(np.array([1.0, np.nan])) or 0)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f4", "?"])
def test_whole_numbers_of_any_type_are_counts(dtype: str) -> None:
    assert first_non_count(np.array([[0, 1], [1, 0]], dtype)) is None
    assert first_non_count(np.zeros((0, 3), dtype)) is None


def test_good_cells_have_no_problems(cells: Cells) -> None:
    assert find_problems(cells) == []


def test_genes_without_counts_and_a_batch_of_one_cell_are_no_problems(cells: Cells) -> None:
    x_ng = cells.counts.toarray()
    x_ng[:, [2, 3]] = 0
    batch = np.zeros_like(cells.batch)
    batch[4] = 1
    odd = dataclasses.replace(cells, counts=canonical(type(cells.counts)(x_ng)), batch=batch)
    assert find_problems(odd) == []


def test_every_problem_is_found_at_once(cells: Cells) -> None:
    x_ng = cells.counts.toarray()
    x_ng[7] = 0
    batch = np.zeros_like(cells.batch)
    counts = canonical(type(cells.counts)(x_ng))
    spoilt = dataclasses.replace(cells, counts=counts, batch=batch)
    found = [problem.finding for problem in find_problems(spoilt)]
    assert found == [
        "1 batch without a cell (batch_1)",
        "1 cell of 400 without counts (cell_7)",
    ]


def test_too_few_cells_and_genes(cells: Cells) -> None:
    few = dataclasses.replace(
        cells,
        counts=cells.counts[:19, :1],
        batch=cells.batch[:19],
        cell_names=cells.cell_names[:19],
        gene_names=cells.gene_names[:1],
    )
    assert [problem.finding for problem in find_problems(few)][:2] == [
        "19 cells are too few",
        "1 gene is too few",
    ]


@pytest.mark.parametrize("dtype", ["i4", "i8", "u8", "f8"])
def test_pointers_in_order(dtype: str) -> None:
    assert fault_of_pointers(np.array([0, 2, 2, 5], dtype), 3, 5) is None


@pytest.mark.parametrize(
    ("indptr", "fault"),
    [
        (np.array([0, 5]), "2 pointers where 4 are needed"),
        (np.array([0, 1, 2, 3, 5]), "5 pointers where 4 are needed"),
        (np.array([[0, 1, 2, 5]]), "4 pointers where 4 are needed"),
        (np.array([1, 2, 3, 5]), "its pointers go from 1 to 5, its values from 0 to 5"),
        (np.array([0, 2, 3, 6]), "its pointers go from 0 to 6, its values from 0 to 5"),
        (np.array([0, 3, 2, 5]), r"its pointers are out of order at 1 \(3, 2\)"),
        (np.array([0, -1, 2, 5]), r"its pointers are out of order at 0 \(0, -1\)"),
        (np.array([0, 9, 2, 5], np.uint64), r"its pointers are out of order at 1 \(9, 2\)"),
        (np.array([0, 2**40, 2, 5]), "its pointers are out of order"),
        (np.array([0, 0.5, 2, 5]), r"its pointers are no whole numbers \(float64\)"),
        (np.array([0, np.nan, 2, 5]), "its pointers are no whole numbers"),
        (np.array(["0", "1", "2", "5"]), "its pointers are no whole numbers"),
    ],
)
def test_pointers_that_lead_elsewhere(indptr: np.ndarray, fault: str) -> None:
    assert re.match(fault, fault_of_pointers(indptr, 3, 5) or "")


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f8"])
def test_indices_in_range(dtype: str) -> None:
    assert fault_of_indices(np.array([0, 3, 1], dtype), 4) is None
    assert fault_of_indices(np.array([], dtype), 4) is None


@pytest.mark.parametrize(
    ("indices", "fault"),
    [
        (np.array([0, 4]), "it has the index 4, beyond 0 to 3"),
        (np.array([0, -1]), "it has the index -1, beyond 0 to 3"),
        (np.array([2**40]), "it has the index 1099511627776, beyond 0 to 3"),
        (np.array([2**63], np.uint64), "it has the index 9223372036854775808, beyond 0 to 3"),
        (np.array([0.5]), r"its indices are no whole numbers \(float64\)"),
        (np.array([np.inf]), "it has the index inf, beyond 0 to 3"),
    ],
)
def test_indices_of_no_gene(indices: np.ndarray, fault: str) -> None:
    assert re.match(fault, fault_of_indices(indices, 4) or "")
