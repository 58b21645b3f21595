import math
from collections.abc import Callable
from typing import Any

import pytest

from bie.analysis.study import read_study
from bie.analysis.tidy import summarise
from bie.analysis.wide import Table, mean_sd, wide_tables
from bie.store.paths import Tree

Make = Callable[..., Any]


def tables_of(disk: Any, split: str = "test") -> list[Table]:
    study = read_study(Tree(disk.root))
    return list(wide_tables(study, summarise(study), split))


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.7421, 0.0512, ".742±.051"),
        (0.7421, 0.0996, ".74±.10"),  # rounds up to two digits, not to three
        (-0.0312, 0.0051, "-.0312±.0051"),
        (1.0212, 0.104, "1.02±.10"),
        (1234.56, 12.34, "1235±12"),
        (1234.56, 1.234, "1234.6±1.2"),
        (1234.56, 123.4, "1235±123"),
        (-0.001, 0.5, ".00±.50"),  # no minus before a zero
        (0.5, math.nan, ".500"),
        (0.75, math.nan, ".750"),
        (12.345, math.nan, "12.3"),
        (12345.6, math.nan, "12346"),
        (0.5, 0.0, ".500±0"),
        (math.nan, math.nan, "–"),
    ],
)
def test_mean_and_sd_share_their_last_decimal(mean: float, sd: float, text: str) -> None:
    assert mean_sd(mean, sd) == text


def test_a_row_per_grid_point_with_settings_as_typed(disk: Any, point: Make) -> None:
    points = [point(), *(point("scvi_mine", mine__scale=s) for s in (1000.0, 0.5))]
    for p in points:
        for seed, ari in enumerate([0.4, 0.6]):
            disk.record(p, seed, {"ari": ari, "elbo": 1000.0 + seed, "kl_z": 3.0})
    (table,) = tables_of(disk)
    assert table.title == "zinb, test cells"
    assert table.header == ("model", "mine.scale", "n", "ARI ↑", "neg. ELBO ↓")
    assert table.rows == (
        ("scvi", "–", "2/2", ".50±.14", "1000.50±.71"),
        ("scvi_mine", "0.5", "2/2", ".50±.14", "1000.50±.71"),
        ("scvi_mine", "1000", "2/2", ".50±.14", "1000.50±.71"),
    )


def test_cells_with_fewer_numbers_than_expected_runs_are_marked(disk: Any, point: Make) -> None:
    complete, partial, waiting = point(), point("scvi_mine"), point("scvi_mmd")
    disk.plan([complete, partial, waiting], [0, 1])
    disk.record(complete, 0, {"ari": 0.4, "nmi": 0.5})
    disk.record(complete, 1, {"ari": 0.6, "nmi": None})
    disk.record(partial, 0, {"ari": 0.4, "nmi": 0.5})
    (table,) = tables_of(disk)
    assert table.header == ("model", "n", "NMI ↑", "ARI ↑")
    assert table.rows == (
        ("scvi", "2/2", ".500†", ".50±.14"),
        ("scvi_mine", "1/2", ".500†", ".400†"),
        ("scvi_mmd", "0/2", "–†", "–†"),
    )


def test_batch_entropy_comes_with_its_share_of_the_ceiling(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"be": 0.5, "be_ratio": 0.75})
    disk.record(point(), 1, {"be": 0.52, "be_ratio": 0.77})
    (table,) = tables_of(disk)
    assert table.header[-1] == "BE ↑ (of ceiling)"
    assert table.rows[0][-1] == ".510±.014 (.76)"
    assert table.notes == ("BE in nats",)


def test_a_table_per_dataset_with_its_own_metrics_and_settings(disk: Any, point: Make) -> None:
    disk.record(point(dataset="a"), 0, {"ari": None, "be": 0.5}, missing={"test.ari": "no labels"})
    for scale in (1.0, 2.0):
        disk.record(point("scvi_mine", dataset="b", mine__scale=scale), 0, {"ari": 0.4, "be": 0.5})
    a, b = tables_of(disk)
    assert a.header == ("model", "n", "BE ↑ (of ceiling)")
    assert b.header == ("model", "mine.scale", "n", "ARI ↑", "BE ↑ (of ceiling)")
    assert "ARI: no value in any run (no labels)" in a.notes
    assert not any("no value" in note for note in b.notes)


def test_train_and_test_are_not_mixed_up(disk: Any, point: Make) -> None:
    disk.record(point(), 0, test={"ari": 0.25}, train={"ari": 0.75})
    assert tables_of(disk)[0].rows[0][-1] == ".250"
    assert tables_of(disk, "train")[0].rows[0][-1] == ".750"
