"""Grid points as files, the tasks back from them, their events, and when failures alike stop a launch."""

from pathlib import Path

import pytest

from bie.data.datasets.h5ad import H5ad
from bie.execution.run_spec import Outcome
from bie.launching.launched import (
    EPOCHS,
    break_circuit,
    canary_runs,
    expected_seconds,
    from_anywhere,
    grid_points,
    n_canary_tasks,
    note,
    read_events,
    runs_of,
)
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.identity import run_id
from bie.store.launches import open_launch, stopped
from bie.store.paths import Tree
from bie.store.record import MODEL, write_record

from .conftest import Launch, run

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


def test_paths_of_a_data_set_hold_in_every_folder(in_tmp: Path, monkeypatch: pytest.MonkeyPatch):
    """`bie embed --again` and `bie reproduce` may prepare the cells once more, wherever they are typed."""
    monkeypatch.setenv("HOME", "/home/me")
    typed = {"source": "h5ad", "name": "own", "batch_key": "batch", "layer": None, "label_key": None}
    for path, kept in (("a/*.h5ad", f"{in_tmp}/a/*.h5ad"), ("~/a.h5ad", "/home/me/a.h5ad"), ("/x", "/x")):
        plain = from_anywhere(H5ad.model_validate(typed | {"path": path}))
        assert (plain["path"], plain["batch_key"]) == (kept, "batch")


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
    for spec in runs.values():
        assert Path(folder, "canary") in spec.folder.parents


def fail(
    launch: Path, task: int, seed: int, message: str = "loss is nan in epoch 3", cause: str = "nan"
) -> None:
    note(launch, str(task), Outcome("failed", cause, message.replace("3", str(seed))), run(seed))


def test_entries_come_back_in_order_of_a_task_or_of_several(tmp_path: Path):
    assert read_events(tmp_path, "0") == []
    fail(tmp_path, 0, 1)
    note(tmp_path, "0", Outcome("done", scores={"ari": None}, seconds=1.5), run(2))
    fail(tmp_path, 1, 3)
    first, second = read_events(tmp_path, "0")
    assert (first.seed, second.seed, second.scores) == (1, 2, {"ari": None})
    assert [event.seed for event in read_events(tmp_path, "[0-9]*")] == [1, 2, 3]


def test_half_a_line_waits_and_a_broken_one_is_passed_over(tmp_path: Path):
    fail(tmp_path, 0, 1)
    path = tmp_path / "journal" / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"status": "do\n' + whole + whole[:20])
    assert [e.status for e in read_events(tmp_path, "0")] == ["failed", "failed"]


def test_what_a_task_notes_of_itself_is_of_no_run(tmp_path: Path):
    note(tmp_path, "0", Outcome("fruitless"))
    (event,) = read_events(tmp_path, "0")
    assert (event.status, event.config_id, event.seed) == ("fruitless", "", -1)


def test_identical_failures_of_several_tasks_stop_the_launch_once(tmp_path: Path):
    for seed in range(3):
        assert not break_circuit(tmp_path, 3)
        fail(tmp_path, seed % 2, seed)
    assert break_circuit(tmp_path, 3)
    reason = stopped(tmp_path)
    assert reason is not None
    assert reason.startswith("3 of 3 runs failed alike, nan: loss is nan in epoch N")
    assert not break_circuit(tmp_path, 3), "stopped already"


@pytest.mark.parametrize("most", [None, 4])
def test_too_few_failures_or_no_limit(tmp_path: Path, most: int | None):
    for seed in range(3):
        fail(tmp_path, 0, seed)
    assert not break_circuit(tmp_path, most)


def test_failures_of_different_causes_are_not_alike(tmp_path: Path):
    for seed, message in enumerate(("no space", "out of memory", "no module")):
        fail(tmp_path, 0, seed, message)
    assert not break_circuit(tmp_path, 2)


def test_a_sweep_most_of_which_succeeds_is_not_stopped(tmp_path: Path):
    for seed in range(40):
        note(tmp_path, "0", Outcome("done"), run(seed))
    for seed in range(20):
        fail(tmp_path, 1, seed)
    assert not break_circuit(tmp_path, 20)
    for seed in range(20, 40):
        fail(tmp_path, 2, seed)
    assert break_circuit(tmp_path, 20)
