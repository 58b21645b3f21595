from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from bie.analysis.grid import describe_grid_points, flat, place

Make = Callable[..., Any]


def cells(*points: Any, swept: bool = True) -> pd.DataFrame:
    runs = pd.DataFrame(
        [{"config_id": point.id, "dataset": point.dataset, "model": point.model} for point in points]
    )
    grids = {point.id: dict(point.grid) if swept else {} for point in points}
    return describe_grid_points(runs, {point.id: flat(point.config) for point in points}, grids)


def test_flat_names_every_setting_and_drops_the_runs_seed_only() -> None:
    config = {"seed": 3, "dataset": {"seed": 7, "genes": ["a", "b"]}, "train": {"kl": {"mode": "beta"}}}
    assert flat(config) == {"dataset.seed": 7, "dataset.genes": '["a", "b"]', "train.kl.mode": "beta"}


def test_settings_that_vary_are_columns_and_those_that_do_not_act_are_missing(point: Make) -> None:
    scvi = point()
    mine = [point("scvi_mine", mine__scale=scale, mine__lr=0.1) for scale in (5000.0, 1000.0)]
    table = cells(*mine, scvi)
    assert list(table.columns) == ["dataset", "model", "mine.scale"]  # mine.lr is swept but has one value
    assert list(table.index) == [scvi.id, mine[1].id, mine[0].id]
    assert table["mine.scale"].isna().tolist() == [True, False, False]
    assert table["mine.scale"].dropna().tolist() == [1000.0, 5000.0]


def test_where_a_setting_does_not_act_comes_first(point: Make) -> None:
    capacity, beta = point(train__kl="capacity", train__gamma=2.0), point(train__kl="beta")
    other = point(train__kl="capacity", train__gamma=1.0)
    table = cells(capacity, beta, other)
    assert list(table.columns[2:]) == ["train.gamma", "train.kl"]
    assert list(table.index) == [beta.id, other.id, capacity.id]


def test_numbers_sort_as_numbers_and_whole_ones_stay_whole(point: Make) -> None:
    table = cells(*(point("scvi_mine", mine__n_hidden=n) for n in (30, 9, 100)))
    assert table["mine.n_hidden"].tolist() == [9, 30, 100]
    assert table["mine.n_hidden"].dtype == "Int64"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [((True, False), "boolean"), ((1, 0.5), "Float64"), (("a", "b"), "string"), ((1, "auto"), "string")],
)
def test_a_column_has_one_type(point: Make, values: tuple[Any, ...], dtype: str) -> None:
    table = cells(*(point(model__dropout=value) for value in values))
    assert table["model.dropout"].dtype == dtype


def test_launches_that_swept_different_things_are_told_apart_by_their_configs(point: Make) -> None:
    swept = point("scvi_mine", mine__scale=10.0, other={"train.epochs": 250})
    other = point("scvi_mine", other={"mine.scale": 10.0, "train.epochs": 20})
    table = cells(swept, point("scvi_mine", mine__scale=20.0, other={"train.epochs": 250}), other)
    assert list(table.columns[2:]) == ["mine.scale", "train.epochs"]
    assert table.loc[other.id, "mine.scale"] == 10.0
    assert table.loc[[swept.id, other.id], "train.epochs"].tolist() == [250, 20]


def test_a_preset_that_only_one_launch_swept_is_told_by_what_it_stands_for(point: Make) -> None:
    none, strong, unswept = (point(other={"dataset.batch_sd": sd, "train.epochs": n}) for sd, n in
                             [(0.0, 2), (0.6, 2), (0.6, 20)])  # fmt: skip
    runs = pd.DataFrame(
        [{"config_id": p.id, "dataset": "zinb", "model": "scvi"} for p in (none, strong, unswept)]
    )
    grids = {none.id: {"dataset.preset": "none"}, strong.id: {"dataset.preset": "strong"}}
    configs = {p.id: flat(p.config) for p in (none, strong, unswept)}
    partly = describe_grid_points(runs, configs, grids)
    assert list(partly.columns[2:]) == ["dataset.batch_sd", "train.epochs"]
    wholly = describe_grid_points(runs[:2], configs, grids)
    assert list(wholly.columns[2:]) == ["dataset.preset"]
    assert wholly["dataset.preset"].tolist() == ["none", "strong"]


def test_without_any_plan_the_configs_tell(point: Make) -> None:
    table = cells(*(point("scvi_mine", mine__scale=s) for s in (10.0, 20.0)), point(), swept=False)
    assert list(table.columns[2:]) == ["mine.scale"]


def test_content_of_the_data_is_the_last_resort(point: Make) -> None:
    same_name = [point(other={"dataset.path": p}) for p in ("a.h5ad", "b.h5ad")]
    assert list(cells(*same_name).columns[2:]) == ["dataset.path"]
    contents = {p.id: p.config["dataset"]["sha256"] for p in same_name}
    hashes = {p: {"sha256": content, "unlabelled_sha256": content[::-1]} for p, content in contents.items()}
    configs = {p: flat({"dataset": found}) for p, found in hashes.items()}
    runs = pd.DataFrame({"config_id": list(configs), "dataset": "mine", "model": "scvi"})
    assert list(describe_grid_points(runs, configs, {}).columns[2:]) == ["dataset.sha256"]


def test_where_the_data_lay_stands_in_the_table_and_not_their_hash(point: Make) -> None:
    origins = [
        {"sha256": f"{i:064d}", "path": f"{name}.h5ad", "batch_key": key, "layer": None}
        for i, (name, key) in enumerate([("a", "donor"), ("b", "donor"), ("b", "site")])
    ]
    configs = {
        f"{i}": flat({"dataset": {"name": "h5ad", "sha256": origin["sha256"]}}) | place(origin)
        for i, origin in enumerate(origins)
    }
    runs = pd.DataFrame({"config_id": list(configs), "dataset": "h5ad", "model": "scvi"})
    table = describe_grid_points(runs, configs, {})
    assert list(table.columns[2:]) == ["dataset.batch_key", "dataset.path"]
    assert table["dataset.path"].tolist() == ["a.h5ad", "b.h5ad", "b.h5ad"]
    moved = {config: known | {"train.lr": float(config)} for config, known in configs.items()}
    assert list(describe_grid_points(runs, moved, {}).columns[2:]) == ["train.lr"]


def test_models_and_datasets_need_no_further_column(point: Make) -> None:
    assert list(cells(point(), point("scvi_mine"), point(dataset="kang")).columns) == ["dataset", "model"]


def test_the_baseline_is_the_first_row_of_each_dataset(point: Make) -> None:
    models = ("scvi_mine", "batch_only", "scvi", "adversarial")
    table = cells(*(point(model, dataset=dataset) for dataset in ("zinb", "kang") for model in models))
    assert table["dataset"].tolist() == ["kang"] * 4 + ["zinb"] * 4
    assert table["model"].tolist() == ["scvi", "adversarial", "batch_only", "scvi_mine"] * 2


def test_controls_are_the_last_rows(point: Make) -> None:
    names = ("adversarial", "harmony", "noise", "scvi", "scvi_mine")
    rows = [
        point(name, other={"model.method": name} if name in ("harmony", "noise") else None) for name in names
    ]
    assert cells(*rows)["model"].tolist() == ["scvi", "adversarial", "harmony", "scvi_mine", "noise"]
