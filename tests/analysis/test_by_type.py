"""OT ratios of cell types: from records to table, file and figure."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bie.analysis.by_type import by_type
from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material
from bie.analysis.report import write_report
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.store.paths import Tree


@pytest.fixture
def study(disk: Any, point: Any) -> Any:
    for seed, (t, b) in enumerate([(3.0, 1.0), (4.0, 1.2)]):
        of_test = {"train": {}, "test": {"T": t, "B": b}}
        disk.record(point(), seed, {"ot_ratio": (t + b) / 2}, by_type=of_test)
    disk.record(point("pca"), 0, {"ot_ratio": 1.5}, by_type={"train": {}, "test": {"T": 1.5}})
    disk.record(point("noise"), 0, {"ot_ratio": None}, missing={"ot_ratio": "no labels"})
    return read_study(Tree(disk.root))


def test_types_are_summed_up_over_the_seeds_the_most_different_first(study: Any) -> None:
    found = by_type(study)
    rows = found[["model", "split", "type", "mean", "n"]].to_records(index=False).tolist()
    assert rows == [
        ("scvi", "test", "T", 3.5, 2), ("scvi", "test", "B", 1.1, 2), ("pca", "test", "T", 1.5, 1),
    ]  # fmt: skip
    assert found["sd"].iloc[0] == pytest.approx(0.5**0.5)


def test_they_are_a_file_of_the_report_and_a_figure_where_there_are_any(
    study: Any, disk: Any, tmp_path: Path
) -> None:
    results = results_of(study)
    assert "by_type.csv" in write_report(tmp_path / "report", results)
    written = pd.read_csv(tmp_path / "report" / "by_type.csv")
    assert written["type"].tolist() == ["T", "B", "T"]
    material = Material(Tree(disk.root), study, results.summary, results.comparison, ("ari",))
    (figure,) = (picture.figure for picture in gallery(material) if picture.name == "types")
    assert figure.axes


def test_without_any_there_is_no_file_and_one_of_before_goes(disk: Any, point: Any, tmp_path: Path) -> None:
    disk.record(point(), 0, {"ari": 0.5})
    results = results_of(read_study(Tree(disk.root)))
    (tmp_path / "by_type.csv").write_text("old")
    assert "by_type.csv" not in write_report(tmp_path, results)
    assert not (tmp_path / "by_type.csv").exists()
