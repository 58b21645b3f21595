"""How long runs take, as forecast and as seen, and which a task may still start."""

from pathlib import Path

import pytest

from bie.config import RunConfig
from bie.kinds import content
from bie.planning import durations
from bie.planning.compose import Configurations
from bie.planning.durations import Deadline, RunTimes, forecast
from bie.planning.expand import expand
from bie.planning.plan import Plan, make_plan
from bie.store.paths import Tree
from bie.store.record import write_record

SHA = "0" * 64


def leave(tree: Tree, plan: Plan, index: int, seed: int, seconds: float, **stages: float) -> None:
    point = plan.points[index]
    record = {"timing": {"total_s": seconds, **stages}, "config": point.plain}
    write_record(tree.run_dir(point.dataset, point.model, point.config_id, seed), record, {})


def test_forecast_learns_from_the_same_cells_in_proportion_to_epochs(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str, sha: str = SHA) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": sha}, tree)

    assert "no forecast" in (said := forecast(plan_of("seed=range(4)"), 2))
    assert "few epochs do" in said
    leave(tree, plan_of("train.epochs=10"), 0, 9, 30.0)
    leave(tree, plan_of("train.epochs=10", sha="1" * 64), 0, 9, 9999.0)
    text = forecast(plan_of("train.epochs=20", "seed=range(4)"), 2)
    assert text.startswith("forecast from 1 earlier runs: 60 s each, 2 min on 2 workers")
    leave(tree, plan_of("train.epochs=20"), 0, 9, 10.0)
    assert "10 s each, 20 s on 2 workers" in forecast(plan_of("train.epochs=20", "seed=range(4)"), 2)
    assert forecast(plan_of("train.epochs=20", "seed=9"), 2) == "nothing to do"


def test_scores_take_as_long_after_few_epochs(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": SHA}, tree)

    leave(tree, plan_of("train.epochs=2"), 0, 9, 8.0, fit_s=1.0)
    assert "57 s each" in forecast(plan_of("train.epochs=100"), 1)


def test_without_runs_of_its_own_a_study_learns_from_those_beside_it(configurations, tmp_path: Path):
    study, pilot = Tree(tmp_path / "v1/study"), Tree(tmp_path / "v1/pilot")

    def plan_of(tree: Tree, *overrides: str) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": SHA}, tree)

    leave(pilot, plan_of(pilot, "train.epochs=10"), 0, 9, 30.0)
    assert "60 s each" in forecast(plan_of(study, "train.epochs=20"), 1)
    leave(study, plan_of(study, "train.epochs=20"), 0, 9, 50.0)
    assert "50 s each" in forecast(plan_of(study, "train.epochs=20", "seed=2"), 1)


def test_runs_on_other_cells_do_not_hide_those_on_the_same(
    configurations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Studies of several sizes share a tree; of each a few records are looked at."""
    monkeypatch.setattr(durations, "SAMPLE", 1)
    tree = Tree(tmp_path / "v1/study")

    def plan_of(sha: str, *overrides: str) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": sha}, tree)

    for sha, seconds in (("0" * 64, 20.0), ("1" * 64, 50.0)):
        leave(tree, plan_of(sha), 0, 9, seconds)
    found = [forecast(plan_of(sha, "model=scvi_mine"), 1) for sha in ("0" * 64, "1" * 64)]
    assert ["20 s each" in found[0], "50 s each" in found[1]] == [True, True]


def test_training_is_not_forecast_from_controls(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": SHA}, tree)

    leave(tree, plan_of("model=pca"), 0, 9, 2.0)
    assert "no forecast" in forecast(plan_of("model=scvi"), 1)
    assert "2 s each" in forecast(plan_of("model=noise"), 1)
    leave(tree, plan_of("model=scvi", "train.epochs=10"), 0, 9, 30.0)
    assert "30 s each" in forecast(plan_of("model=scvi_mine", "train.epochs=10"), 1)
    assert "2 s each" in forecast(plan_of("model=noise"), 1)


def test_runs_that_are_alike_come_first_and_others_are_named(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str) -> Plan:
        typed = ["model=scvi_mine", "train.epochs=10", *overrides]
        return make_plan(expand(typed, configurations).combinations, lambda _: {"sha256": SHA}, tree)

    leave(tree, plan_of(), 0, 9, 20.0)
    infonce = "mine.estimator=infonce"
    said = forecast(plan_of(infonce), 1)
    assert said.startswith("forecast from 1 earlier runs, which differ in mine.estimator: 20 s each")
    leave(tree, plan_of(infonce, "mine.scale=1"), 0, 9, 300.0)
    assert "earlier runs: 5 min each" in forecast(plan_of(infonce, "mine.scale=2"), 1)
    assert "earlier runs: 20 s each" in forecast(plan_of("mine.scale=1"), 1)
    assert "which differ in model: " in forecast(plan_of("model=scvi"), 1)


def test_a_record_that_several_grid_points_learn_from_counts_once(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str) -> Plan:
        return make_plan(expand(overrides, configurations).combinations, lambda _: {"sha256": SHA}, tree)

    for seed in range(4):
        leave(tree, plan_of("model=scvi"), 0, seed, 30.0)
    text = forecast(plan_of("model=scvi_mine", "mine.scale=1,2"), 1)
    assert text.startswith("forecast from 4 earlier runs")
    assert text.endswith(" kB")


def test_what_is_drawn_anew_for_each_seed_learns_from_data_of_the_same_size(configurations, tmp_path: Path):
    tree = Tree(tmp_path / "v1/study")

    def plan_of(*overrides: str) -> Plan:
        combinations = expand(["dataset=pairs", "model=critic", *overrides], configurations).combinations
        return make_plan(combinations, lambda config: content(config.dataset), tree)

    leave(tree, plan_of("dataset.rho=0.1", "model.epochs=10"), 0, 9, 30.0)
    assert "60 s each" in forecast(plan_of("dataset.rho=0.2", "model.epochs=20"), 1)
    assert "no forecast" in forecast(plan_of("dataset.rho=0.2", "dataset.n_pairs=50"), 1)


def test_a_run_starts_only_if_it_ends_before_the_warning():
    deadline = Deadline(left=100.0, whole=1000.0)
    assert deadline.admits(90.0)
    assert not deadline.admits(110.0)
    assert deadline.admits(None), "nothing is known"
    assert deadline.admits(1100.0), "no run could finish it"


def test_what_was_seen_counts_more_than_the_forecast(configurations: Configurations):
    def config(*typed: str) -> RunConfig:
        return expand(typed, configurations).combinations[0].config

    run_times, one, other = RunTimes({"a": 10.0}), config("train.epochs=10"), config("train.epochs=20")
    assert (run_times.expected("a", one), run_times.expected("b", other)) == (10.0, None)
    run_times.learn("a", one, 40.0)
    run_times.learn("a", one, 30.0)
    assert run_times.expected("a", one) == 40.0
    assert run_times.expected("b", other) == 80.0, "the same model on the same cells, twice the epochs"
    assert run_times.expected("b", config("train.epochs=20", "dataset.seed=5")) is None
    assert run_times.expected("c", config("model=scvi_mine")) is None
