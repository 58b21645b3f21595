"""What is said of usable data: names that may mean missing, or the same; what cannot be told apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from bie.data import grouping
from bie.data.cells import Cells, canonical
from bie.data.datasets import zinb
from bie.data.datasets.zinb import Zinb
from bie.data.notes import cramers_v, notes


@pytest.fixture
def noted(zinb_settings: Callable[..., Zinb]) -> Callable[..., tuple[str, ...]]:
    """Notes on 400 simulated cells with these batches and labels, or counts."""
    cells = zinb.load(zinb_settings(size="smoke"))

    def of(batch: Any = None, label: Any = None, counts: Any = None) -> tuple[str, ...]:
        changed = vars(cells) | {"counts": cells.counts if counts is None else counts}
        given = {key: changed[key] for key in Cells.__dataclass_fields__}
        if batch is not None:
            given["batch"], given["batches"] = grouping.codes(pd.Series(batch))
        given["label"], given["labels"] = (None, ()) if label is None else grouping.codes(pd.Series(label))
        return notes(Cells(**given), "sample", None if label is None else "type")

    return of


N = 400
HALVES = np.array(["a", "b"])[np.arange(N) % 2]


def test_nothing_to_say(noted: Callable[..., tuple[str, ...]]) -> None:
    assert noted(HALVES, np.array(["T", "B"])[np.arange(N) // 2 % 2]) == ()


@pytest.mark.parametrize("name", ["", " ", "nan", "NaN", "NA", "None", "<NA>"])
def test_names_that_may_mean_missing(noted: Callable[..., tuple[str, ...]], name: str) -> None:
    batch = np.where(np.arange(N) < 5, name, HALVES)
    (said,) = noted(batch)
    assert said.startswith(f'dataset.batch_key=sample: 5 cells are in a group called "{name}". If that means')
    assert noted(HALVES, batch)[0].startswith("dataset.label_key=type: 5 cells are in a group called")


def test_names_that_differ_by_case_or_space(noted: Callable[..., tuple[str, ...]]) -> None:
    said, twins = noted(
        np.array(["Donor 1", "donor 1 ", "donor1", "donor 2", "né", "ne\u0301"])[np.arange(N) % 6]
    )
    assert said == (
        'dataset.batch_key=sample: "Donor 1", "donor 1 ", "donor1" differ by case or space only. '
        "If they are one group, give them one name"
    )
    assert twins.startswith('dataset.batch_key=sample: "ne\u0301", "né" differ by case or space only.')


def test_every_type_in_one_batch_only(noted: Callable[..., tuple[str, ...]]) -> None:
    types = np.where(HALVES == "a", np.array(["T", "B"])[np.arange(N) // 2 % 2], "monocyte")
    (said,) = noted(HALVES, types)
    assert said.startswith("batch and cell type are confounded: no type is in two batches, so ")


def test_some_types_and_batches_alone(noted: Callable[..., tuple[str, ...]]) -> None:
    batch, types = HALVES.copy().astype(object), np.array(["T", "B"], object)[np.arange(N) // 2 % 2]
    types[HALVES == "a"] = np.where(np.arange(N // 2) < 9, "delta", types[HALVES == "a"])
    batch[:3], types[:3] = "sorted", "T"
    said = noted(batch, types)
    assert said == (
        "1 of 3 cell types are in one batch only (delta)",
        "1 of 3 batches hold one cell type only (sorted)",
    )


def test_partly_confounded(noted: Callable[..., tuple[str, ...]]) -> None:
    types = np.where((HALVES == "a") ^ (np.arange(N) % 20 < 2), "T", "B")
    (said,) = noted(HALVES, types)
    assert said == "batch and cell type go together: Cramér's V 0.80 (0: independent, 1: one tells the other)"


def test_cramers_v_is_that_of_scipy() -> None:
    n_bk = np.random.default_rng(0).integers(1, 30, (4, 3))
    assert cramers_v(n_bk.astype(float)) == pytest.approx(association(n_bk, method="cramer"), rel=1e-12)


def test_genes_that_an_outer_join_filled(noted: Callable[..., tuple[str, ...]]) -> None:
    x_ng = 1 + np.random.default_rng(0).poisson(1.0, (N, 100))
    assert noted(HALVES, counts=canonical(x_ng)) == ()
    x_ng[np.ix_(HALVES == "b", np.arange(5))] = 0
    (said,) = noted(HALVES, counts=canonical(x_ng))
    assert said.startswith(
        "1 batch without a count in many of 100 genes that have 20 or more by the others' rates: "
        "b in 5 (gene_0, gene_1, gene_2, ...). An outer join fills genes"
    )


def test_a_gene_of_one_sex_and_rare_genes_are_no_join(noted: Callable[..., tuple[str, ...]]) -> None:
    x_ng = 1 + np.random.default_rng(0).poisson(1.0, (N, 100))
    x_ng[np.ix_(HALVES == "b", [3])] = 0  # XIST
    x_ng[:, 50:] = 0
    x_ng[np.ix_(np.flatnonzero(HALVES == "a")[:3], np.arange(50, 100))] = 1
    assert noted(HALVES, counts=canonical(x_ng)) == ()


def test_whole_numbers_that_are_no_counts(noted: Callable[..., tuple[str, ...]]) -> None:
    x_ng = 1.0 + np.random.default_rng(0).poisson(1.0, (N, 100))
    (said,) = noted(HALVES, counts=canonical(np.rint(1e4 * x_ng / x_ng.sum(axis=1, keepdims=True))))
    assert said.startswith("all cells have nearly the same total, 9,9")
    (said,) = noted(HALVES, counts=canonical(x_ng > 2))
    assert said == "no count is above 1: the matrix may say where there are counts, and not how many"
