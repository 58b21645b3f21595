"""Grid points as files, and the tasks back from them."""

from pathlib import Path

import pytest

from bie.launching.launched import EPOCHS, canary_runs, expected_seconds, grid_points, n_canary_tasks, runs_of
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.identity import run_id
from bie.store.launches import open_launch
from bie.store.paths import Tree
from bie.store.record import MODEL, write_record

from .conftest import Launch

TYPED = ("dataset.size=smoke", "model=scvi,scvi_mine", "mine.scale=5", "seed=0,1", "save.model=true")


@pytest.fixture
def planned(configurations: Configurations, tmp_path: Path):
    """Plan and folder of a launch in three tasks; one run was done before it."""
    tree, datasets = Tree(tmp_path / "v1" / "study"), Datasets()
    combinations = expand(TYPED, configurations).combinations
    first = make_plan(combinations, datasets.content, tree).points[0]
    write_record(tree.run_dir(first.dataset, first.model, first.config_id, 0), {}, {MODEL: b""})
    plan = make_plan(combinations, datasets.content, tree)
    settings = {"hydra": {"launcher": {"kind": "local"}}}
    found = grid_points(plan, datasets, {1: 2.5}, {})
    return plan, open_launch(tree, [], plan.columns(), found, settings)


def test_tasks_come_back_as_they_were_planned(planned):
    plan, folder = planned
    tasks = runs_of(folder)
    assert len(tasks) == 3
    for task, (index, seed) in zip(tasks, plan.todo, strict=True):
        point = plan.points[index]
        assert task.config == point.config.model_copy(update={"seed": seed})
        assert (task.title, task.plain, task.config_id) == (point.title, point.plain, point.config_id)
        assert task.identity["run_id"] == run_id(point.plain, seed)
        assert (task.prepared / "meta.json").is_file()
        assert task.folder.parts[-4:] == ("zinb", point.model, point.config_id[:12], f"seed={seed:04d}")


def test_each_slice_has_its_own_runs(planned):
    _, folder = planned
    assert [task.folder for i in range(3) for task in runs_of(folder, i)] == [
        t.folder for t in runs_of(folder)
    ]
    assert runs_of(folder, 3) == []


def test_a_moved_tree_is_still_whole(planned, tmp_path: Path):
    _, folder = planned
    (tmp_path / "v1").rename(tmp_path / "moved")
    (task, *_) = runs_of(tmp_path / "moved" / "study" / "launches" / folder.name)
    assert (task.prepared / "meta.json").is_file()


def test_forecast_of_the_launch(planned):
    plan, folder = planned
    assert expected_seconds(folder) == {plan.points[1].config_id: 2.5}


def test_a_task_for_each_grid_point_up_to_a_limit():
    assert [n_canary_tasks(n) for n in (0, 3, 50, 700)] == [0, 3, 50, 50]


def test_a_canary_is_short_apart_and_may_be_a_control(launch: Launch):
    folder = launch("model=scvi,pca", "train.epochs=20")
    (one,), (other,) = (canary_runs(folder, index) for index in range(2))
    runs = {run.config.model.name: run for run in (one, other)}
    assert runs["scvi"].config.train.epochs == runs["scvi"].plain["train"]["epochs"] == EPOCHS
    assert "train" not in runs["pca"].plain
    for run in runs.values():
        assert Path(folder, "canary") in run.folder.parents
