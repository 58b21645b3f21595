from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bie.analysis import load
from bie.analysis.designs import pooled
from bie.analysis.report import write_report
from bie.analysis.results import results_of
from bie.analysis.view import read_view
from bie.analysis.wide import wide_tables

Make = Callable[..., Any]


def test_grid_points_that_differ_in_seeds_of_streams_are_one_row(disk: Any, point: Make) -> None:
    for scale in (1.0, 2.0):
        for split in range(2):
            for init in range(3):
                p = point("scvi_mine", mine__scale=scale, split_seed=split, init_seed=init)
                disk.record(p, 0, {"ari": scale + split + init / 10})
    disk.plan([point("scvi_mine", mine__scale=2.0, split_seed=0, init_seed=9)], [0])
    study = load(disk.root)
    whole = pooled(study)
    assert (len(study.grid_points), whole.grid) == (13, ("mine.scale",))
    assert whole.grid_points["mine.scale"].tolist() == [1.0, 2.0]
    found = results_of(whole, "mine.scale=1")
    rows = found.summary[found.summary["split"] == "test"]
    assert rows["mean"].tolist() == pytest.approx([1.6, 2.6])
    assert rows[["n", "n_expected"]].to_numpy().tolist() == [[6, 6], [6, 7]]
    assert found.comparison["mean"].tolist() == pytest.approx(
        [1.0, 1.0]
    )  # train and test: paired by all seeds


def test_other_studies_stay_as_they_are(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    study = load(disk.root)
    assert pooled(study) is study


def test_what_people_read_is_pooled_and_what_programs_read_is_not(
    disk: Any, point: Make, tmp_path: Path
) -> None:
    for model in ("scvi", "scvi_mine"):
        for init in range(4):
            disk.record(point(model, init_seed=init), 0, {"ari": init / 10})
    found = results_of(load(disk.root))
    write_report(tmp_path, found)
    assert (tmp_path / "summary.md").read_text().count("| scvi_mine | 4/4 | .15") == 2  # test and train
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 2 * 4 * 2
    (by_seed,) = wide_tables(found, read_view("model,init_seed", [], None, None))
    assert len(by_seed.rows) == 8
    own = results_of(load(disk.root), "scvi init_seed=2")
    assert own.for_people is own  # the pooled rows do not have this baseline
