from collections.abc import Callable
from itertools import product
from typing import Any

import pandas as pd

from bie.analysis.study import read_study
from bie.analysis.titles import LONGEST, titles
from bie.store.paths import Tree

Make = Callable[..., Any]


def test_a_label_of_a_million_characters_is_cut() -> None:
    notes = [f"{i}{'x' * 10**6}" for i in range(2)]
    cells = pd.DataFrame({"dataset": ["d"] * 2, "model": ["scvi"] * 2, "note": notes}, index=["a", "b"])
    assert titles(cells)["a"].startswith("scvi note=0xxx")
    assert len(titles(cells)["a"]) == LONGEST


def test_long_titles_are_told_apart() -> None:
    settings = {"kind": ["gaussian_lognormal"] * 2, "width_of_its_critic": [128] * 2, "critic": ["a", "b"]}
    cells = pd.DataFrame({"dataset": ["d"] * 2, "model": ["critic"] * 2, **settings}, index=["p", "q"])
    assert list(titles(cells).values()) == [f"critic kind=gaussian_lognormal critic={name}" for name in "ab"]
    grid = list(
        product(("gaussian_gaussian", "gaussian_lognormal"), (8, 16), ("a" * 20 + "b", "a" * 20 + "c"))
    )
    many = pd.DataFrame(grid, columns=list(settings), index=list(map(str, range(8))))
    many = pd.DataFrame({"dataset": "d", "model": "critic"}, index=many.index).join(many)
    assert titles(many)["5"] == f"critic gaussian_lognormal 8 {'a' * 20}c"  # all settings are needed
    longer = cells.assign(kind=["x" * 80, "x" * 80 + "y"], critic="a")
    assert titles(longer)["q"].endswith("… q")
    assert len(set(titles(longer).values())) == 2


def test_only_settings_that_act_are_named_and_a_data_set_where_there_are_two(disk: Any, point: Make) -> None:
    one = [point(), *(point("scvi_mine", mine__scale=s, mine__n_layers=2) for s in (10.0, 0.5))]
    for p in one:
        disk.record(p, 0, {"ari": 0.5})
    named = list(titles(read_study(Tree(disk.root)).grid_points).values())
    assert named == ["scvi", "scvi_mine scale=0.5", "scvi_mine scale=10"]
    disk.record(point(dataset="other"), 0, {"ari": 0.5})
    assert "other scvi" in titles(read_study(Tree(disk.root)).grid_points).values()
