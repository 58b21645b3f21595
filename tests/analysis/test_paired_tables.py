from collections.abc import Callable
from typing import Any

from bie.analysis import load
from bie.analysis.paired_tables import across_tables, paired_tables
from bie.analysis.results import results_of

Make = Callable[..., Any]


def write(disk: Any, point: Make, datasets: dict[str, float]) -> Any:
    for dataset, gain in datasets.items():
        for seed in range(6):
            disk.record(point(dataset=dataset), seed, {"ari": 0.5 + seed / 1000})
            disk.record(point("scvi_mine", dataset=dataset), seed, {"ari": 0.5 + gain - seed / 1000})
    return results_of(load(disk.root))


def test_several_data_sets_are_signs_never_a_mean(disk: Any, point: Make) -> None:
    results = write(disk, point, {"a": 0.3, "b": -0.3, "c": 0.4})
    tables = across_tables(results)
    assert [table.title for table in tables] == [
        "over 3 data sets, test cells",
        "over 3 data sets, train cells",
    ]
    assert tables[0].header == ("row", "ARI")
    assert tables[0].rows == (("scvi_mine", "▲ ▼ ▲ (2:1)"),)
    assert "in the order a, b, c" in tables[0].legend[0]


def test_a_data_set_that_lacks_a_row_keeps_its_place(disk: Any, point: Make) -> None:
    write(disk, point, {"a": 0.3, "b": -0.3, "c": 0.4})
    for dataset, value in {"a": 0.9, "c": 0.1}.items():
        for seed in range(6):
            disk.record(point("scvi_mmd", dataset=dataset), seed, {"ari": value - seed / 1000})
    rows = across_tables(results_of(load(disk.root)))[0].rows
    assert rows == (("scvi_mine", "▲ ▼ ▲ (2:1)"), ("scvi_mmd", "▲ – ▼ (1:1)"))


def test_files_under_one_name_are_data_sets_and_settings_of_one_are_not(disk: Any, point: Make) -> None:
    for place, path in enumerate(("a b.h5ad", "c.h5ad")):
        for gain, model in enumerate(("scvi", "scvi_mine")):
            for seed in range(6):
                p = point(model, dataset="h5ad", other={"dataset.path": path})
                change = 0.3 * gain * (-1) ** place * (1 + seed / 100)
                disk.record(p, seed, {"ari": 0.5 + change})
                p = point(model, dataset="zinb", other={"dataset.n_genes": 100 * (1 + place)})
                disk.record(p, seed, {"ari": 0.5 + change})
    test, _ = across_tables(results_of(load(disk.root)))
    assert test.title == "over 3 data sets, test cells"
    assert "in the order h5ad a b.h5ad, h5ad c.h5ad, zinb (" in test.legend[0]
    assert test.rows == (("scvi_mine", "▲ ▼ ▲▼ (2:2)"),)


def test_one_data_set_is_not_several(disk: Any, point: Make) -> None:
    results = write(disk, point, {"a": 0.3})
    assert across_tables(results) == []
    (test, train) = paired_tables(results)
    assert test.title == "a, test cells, against scvi"
    assert len(test.rows) == len(train.rows) == 1
    assert dict(zip(test.header, test.rows[0], strict=True))["verdict"] == "▲ better; new cells: not shown"
