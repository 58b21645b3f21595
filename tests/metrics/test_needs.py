"""Where what a metric needs is just there, and just not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bie.metrics import needs

Z = np.arange(20.0).reshape(10, 2)
ONE, TWO = np.zeros(4, np.int64), np.array([0, 0, 1, 1])
JUDGED = np.array([True, True, True, False])


@pytest.mark.parametrize(
    ("need", "arguments", "is_met"),
    [
        (needs.ten_cells, (Z,), True),
        (needs.ten_cells, (Z[:9],), False),
        (needs.clusterable, (Z, 10), True),
        (needs.clusterable, (Z, 11), False),
        (needs.clusterable, (np.repeat(Z, [991, *[1] * 9], axis=0)[::-1], 10), True),
        (needs.clusterable, (np.repeat(Z[:3], [1000, 1, 1], axis=0), 3), True),  # beyond the first thousand
        (needs.clusterable, (np.repeat(Z[:3], 5, axis=0), 4), False),
        (needs.clusterable, (np.repeat(Z[:3], [1000, 1, 1], axis=0), 4), False),
        (needs.not_collapsed, (Z[:2],), True),
        (needs.not_collapsed, (Z[:1].repeat(3, axis=0),), False),
        (needs.two_batches, (TWO,), True),
        (needs.two_batches, (ONE,), False),
        (needs.two_batches_of_two, (TWO,), True),
        (needs.two_batches_of_two, (TWO[:3],), False),
        (needs.two_neighbours, (2,), True),
        (needs.two_neighbours, (1,), False),
        (needs.two_labels, (TWO,), True),
        (needs.two_labels, (ONE,), False),
        (needs.two_labels, (None,), False),
        (needs.two_labels, (np.arange(4),), False),  # no two share one
        (needs.labelled, (ONE,), True),
        (needs.labelled, (None,), False),
        (needs.mixed_type, (TWO, ONE), True),
        (needs.mixed_type, (TWO[:3], ONE[:3]), True),
        (needs.mixed_type, (TWO[1:3], ONE[:2]), False),  # a cell of each batch
        (needs.mixed_type, (TWO, TWO), False),
        (needs.mixed_type, (TWO, None), False),
        (needs.probed, (JUDGED, TWO), True),
        (needs.probed, (JUDGED, np.array([0, 0, 0, 1])), False),
        (needs.unjudged, (JUDGED | True, TWO), True),
        (needs.unjudged, (JUDGED, TWO), False),
    ],
)
def test_a_need_is_met_or_has_a_reason(
    need: Callable[..., str | None], arguments: tuple[Any, ...], is_met: bool
) -> None:
    assert (need(*arguments) is None) == is_met


def test_cells_that_are_not_judged_are_counted() -> None:
    said = needs.unjudged(np.array([True, False, False, False]), np.array([0, 1, 2, 2]))
    assert said is not None
    assert said.startswith("3 of 4 cells are not judged")
    assert said.endswith("(2 of 3 batches)")
