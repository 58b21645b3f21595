"""The short runs before a sweep."""

from pathlib import Path

from bie.launching.canary import EPOCHS, canary_tasks, n_canary_tasks

from .conftest import Launch


def test_a_task_for_each_grid_point_up_to_a_limit():
    assert [n_canary_tasks(n) for n in (0, 3, 50, 700)] == [0, 3, 50, 50]


def test_a_canary_is_short_apart_and_may_be_a_control(launch: Launch):
    folder = launch("model=scvi,pca", "train.epochs=20")
    (one,), (other,) = (canary_tasks(folder, index) for index in range(2))
    runs = {run.config.model.name: run for run in (one, other)}
    assert runs["scvi"].config.train.epochs == runs["scvi"].plain["train"]["epochs"] == EPOCHS
    assert "train" not in runs["pca"].plain
    for run in runs.values():
        assert Path(folder, "canary") in run.folder.parents
