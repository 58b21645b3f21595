"""Rules that stop seeds, and whether a run is still wanted by them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bie import plan as plan_verb
from bie import run
from bie.errors import BadInput
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.stopping import decisions, stop_rules, wanted
from bie.execution.worker import execute_one
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.plan import Plan, make_plan
from bie.store.paths import Tree
from bie.store.provenance import configuration_folder
from bie.store.record import DECIDED, RECORD

RULE = {"metric": "ari", "sign": 1.0, "n_rows": 1, "verdict": True, "half_width": None, "margin": 0.02}


@pytest.fixture
def task(tmp_path: Path) -> RunSpec:
    folder = tmp_path / "runs" / "zinb" / "scvi_mine" / "b" / "seed=0020"
    stop = {**RULE, "baseline": "zinb/scvi/a"}
    return RunSpec("", None, {}, "b", Path(), {}, folder, stop)  # type: ignore[arg-type]


def record(runs: Path, place: str, seed: int, ari: float | None, split: str | None = None) -> None:
    folder = runs / place / f"seed={seed:04d}"
    folder.mkdir(parents=True)
    found: dict[str, Any] = {"split_id": split or str(seed), "metrics": {"test": {"ari": ari}}}
    (folder / RECORD).write_text(json.dumps(found))


def pairs(task: RunSpec, gains: list[float | None]) -> None:
    runs = task.folder.parents[3]
    for seed, gain in enumerate(gains):
        record(runs, "zinb/scvi/a", seed, 0.5 + 0.1 * (seed % 3))
        record(runs, "zinb/scvi_mine/b", seed, None if gain is None else 0.5 + 0.1 * (seed % 3) + gain)


def test_without_a_rule_every_run_is(task: RunSpec) -> None:
    pairs(task, [0.1, 0.11, 0.09] * 4)
    assert wanted(replace(task, stop=None))


def test_what_is_decided_is_not_and_says_why(task: RunSpec) -> None:
    pairs(task, [0.1, 0.11, 0.09] * 4)
    assert not wanted(task)
    found = json.loads((task.folder.parent / DECIDED).read_text())
    assert found["verdict"] == "better"
    assert found["reason"].startswith("better after 12 pairs, ari +0.1 [")
    assert not wanted(task)  # by its note
    assert not task.folder.exists()
    assert execute_one(task) == Outcome("decided")


@pytest.mark.parametrize("gains", [[0.1, 0.11], [0.1, -0.1, 0.02] * 4, [None] * 9, []])
def test_few_pairs_or_wide_ones_decide_nothing(task: RunSpec, gains: list[float | None]) -> None:
    pairs(task, gains)
    assert wanted(task)
    assert not (task.folder.parent / DECIDED).exists()


def test_pairs_are_those_of_a_split(task: RunSpec) -> None:
    runs = task.folder.parents[3]
    for seed in range(12):
        record(runs, "zinb/scvi/a", seed, 0.5, f"other {seed}")
        record(runs, "zinb/scvi_mine/b", seed, 0.6 + 0.01 * (seed % 2))
    assert wanted(task)


def test_the_baseline_is_until_all_others_are_decided(task: RunSpec) -> None:
    runs = task.folder.parents[3]
    own = runs / "zinb" / "scvi" / "a" / "seed=0020"
    base = replace(task, folder=own, stop={"rivals": ["zinb/scvi_mine/b", "zinb/adversarial/c"]})
    pairs(task, [0.1, 0.11, 0.09] * 4)
    assert wanted(base)
    assert not wanted(task)
    assert wanted(base)
    (runs / "zinb" / "adversarial" / "c").mkdir(parents=True)
    (runs / "zinb" / "adversarial" / "c" / DECIDED).write_text("{}")
    assert not wanted(base)
    assert (own.parent / DECIDED).exists()


def test_a_record_that_cannot_be_read_is_no_pair(task: RunSpec) -> None:
    pairs(task, [0.1, 0.11, 0.09] * 4)
    for path in task.folder.parent.glob(f"*/{RECORD}"):
        path.write_text("")
    assert wanted(task)


HASHES = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}


@pytest.fixture
def rules_of(configurations: Configurations, tmp_path: Path) -> Any:
    def rules(*typed: str) -> Any:
        found = expand(typed, configurations)
        plan = make_plan(found.combinations, lambda config: HASHES, Tree(tmp_path))
        return [point.model for point in plan.points], list(stop_rules(plan, found.settings).items())

    return rules


SWEEP = ("model=scvi,scvi_mine", "mine.scale=1,2", "seed=range(3)")


def test_nothing_stops_unless_it_is_asked_for(rules_of: Any) -> None:
    assert rules_of(*SWEEP)[1] == []


def test_each_row_knows_its_baseline_and_the_baseline_its_rows(rules_of: Any) -> None:
    _, found = rules_of(*SWEEP, "stop.verdict=true", "stop.metric=elbo", "stop.half_width=0.5")
    rules = dict(found)
    (base,) = [rule for rule in rules.values() if "rivals" in rule]
    rows = [rule for rule in rules.values() if "rivals" not in rule]
    assert len(rows) == len(base["rivals"]) == 2
    for row in rows:
        assert row["baseline"].startswith("zinb/scvi/")
        assert (row["metric"], row["sign"], row["n_rows"], row["margin"]) == ("elbo", -1.0, 2, None)
        assert (row["verdict"], row["half_width"]) == (True, 0.5)


@pytest.mark.parametrize(
    ("kind", "models", "metric"),
    [("sets", ("deep_sets", "set_mean"), "map"), ("pairs", ("critic", "neighbours"), "mi_error")],
)
def test_seeds_of_sets_and_pairs_stop_too(rules_of: Any, kind: str, models: Any, metric: str) -> None:
    stop = (f"study.baseline={models[1]}", "stop.verdict=true", f"stop.metric={metric}")
    named, found = rules_of(f"dataset={kind}", f"model={','.join(models)}", "seed=0,1", *stop)
    assert (named, len(found)) == ([*models], 2)


def test_settings_of_stopping_are_no_part_of_an_identity(rules_of: Any) -> None:
    one = [config for config, _ in rules_of(*SWEEP, "stop.verdict=true")[1]]
    other = [config for config, _ in rules_of(*SWEEP, "stop.half_width=0.1")[1]]
    assert one == other


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("model=scvi,scvi_mine", "stop.metric=aari"), r"stop\.metric=aari.*Did you mean ari"),
        (("model=scvi,scvi_mine", "stop.metric=kl_z"), r"stop\.metric=kl_z.*better or worse"),
        (("model=scvi", "train.lr=1e-3,1e-2"), "2 of 2 grid points on zinb are scvi"),
        (("model=scvi",), "1 of 1 grid points"),
        (("model=pca,noise",), r"0 of 2 .*study\.baseline=MODEL"),
    ],
)
def test_what_cannot_be_compared_ends_before_anything_starts(
    rules_of: Any, typed: tuple[str, ...], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        rules_of(*typed, "stop.verdict=true")
    assert rules_of("model=pca,noise", "study.baseline=pca", "stop.verdict=true")[1]


def test_what_the_records_decide_is_not_to_do_again(configurations: Configurations, tmp_path: Path) -> None:
    asked = ("model=scvi,scvi_mine", "seed=range(14)", "stop.verdict=true", "stop.metric=ari")
    found = expand(asked, configurations)

    def planned() -> Plan:
        return make_plan(found.combinations, lambda config: HASHES, Tree(tmp_path))

    for index, seed in (plan := planned()).runs[:24]:
        gain = index * (0.09, 0.1, 0.11)[seed % 3]
        record(tmp_path / "runs", str(plan.folder((index, seed)).parent), seed, 0.5 + seed % 5 / 10 + gain)
    plan = planned()
    assert len(plan.todo) == 4
    plan.decided.update(decisions(plan, stop_rules(plan, found.settings)))
    reasons = [str(decision["reason"]) for decision in plan.decided.values()]
    assert reasons[0].startswith("better after 12 pairs")
    assert reasons[1] == "all comparisons with it are decided"
    assert plan.todo == []
    plan.incomplete.update(plan.done)
    plan.done.clear()
    assert plan.todo == sorted(plan.incomplete, key=plan.runs.index), "files that finished runs lack"


def test_the_command_typed_again_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [
        *("dataset.size=smoke", "model=pca,noise", "study.baseline=pca", "seed=0..13"),
        *("stop.verdict=true", "stop.metric=ari", f"outputs={tmp_path}", "hydra.launcher.workers=0"),
    ]
    settings = expand(typed, Configurations(configuration_folder()))
    plan = make_plan(settings.combinations, Datasets().content, Tree(tmp_path / "v1" / "adhoc"))
    for index, seed in plan.runs[:24]:
        gain = index * (0.09, 0.1, 0.11)[seed % 3]
        record(tmp_path, str(plan.folder((index, seed)).parent), seed, 0.5 + seed % 5 / 10 + gain)
    for _ in range(2):  # by the records, then also by the note
        assert run.main(["-m", *typed]) == 0
        assert "24 done already, 0 to do, 4 not needed: decided" in capsys.readouterr().out
        assert not plan.tree.launches.exists()
        assert len([*plan.tree.runs.glob(f"*/*/*/{DECIDED}")]) == 2
    assert plan_verb.main([*typed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["todo"] == 0
    assert plan_verb.main([*typed, "stop.verdict=false", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["todo"] == 4
