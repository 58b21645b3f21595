from collections.abc import Callable
from typing import Any

from bie.analysis import load
from bie.analysis.page.content import tables
from bie.analysis.results import results_of


def test_a_cell_says_its_comparison_in_words(disk: Any, point: Callable[..., Any]) -> None:
    for seed in range(3):
        disk.record(point(), seed, {"ari": 1.0, "elbo": 700.0})
        disk.record(point("scvi_mine"), seed, {"ari": 1.0, "elbo": 680.0 - seed})
    test, _ = tables(results_of(load(disk.root)))
    _, ours = test.rows
    assert [cell.words for cell in ours.cells] == [
        "open: .000 [no interval]; new cells: not shown",
        "better: -21.0 nats per cell [-23.5, -18.5]; new cells: not shown",
    ]
