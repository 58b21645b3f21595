"""Plans: merged, seed by seed, what is done; and the baseline that a study is compared with."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.plan import Plan, check_baseline, make_plan, set_stale_aside
from bie.store.launches import DIFF, open_launch, planned
from bie.store.paths import Tree
from bie.store.provenance import source_sha256
from bie.store.record import write_record


@pytest.fixture
def plan_of(configurations: Configurations, tmp_path: Path):
    def plan(*overrides: str) -> Plan:
        found = expand(overrides, configurations)
        return make_plan(
            found.combinations,
            lambda config: {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64},
            Tree(tmp_path),
        )

    return plan


def test_the_example_of_the_contract_is_300_runs(plan_of):
    plan = plan_of("model=scvi,scvi_mine", "mine.scale=1000,5000", "seed=range(100)")
    assert len(plan.runs) == 300
    assert plan.dropped == {"mine.scale does not act on model=scvi": 100}


def test_runs_go_seed_by_seed(plan_of):
    plan = plan_of("model=scvi,scvi_mine", "mine.scale=1,2", "seed=5,3")
    assert [seed for _, seed in plan.runs] == [5, 5, 5, 3, 3, 3]
    assert [point for point, _ in plan.runs] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("typed", "n_runs", "dropped"),
    [
        (["seed=1,1,1"], 1, {"a seed given more than once": 2}),
        (["train.lr=1e-3,0.001", "seed=0,1"], 2, {"the same experiment as another combination": 2}),
        (["train.kl.gamma=1,2"], 1, {"train.kl.gamma has no effect with train.kl.mode=warmup": 1}),
        (["model=scvi_mine", "zip(seed=[1,1],mine.scale=[10,20])"], 2, {}),
        (["model=scvi", "mine.scale=1"], 1, {}),
    ],
)
def test_duplicates_are_dropped_with_their_reason(typed, n_runs, dropped, plan_of):
    plan = plan_of(*typed)
    assert (len(plan.runs), dict(plan.dropped)) == (n_runs, dropped)


def test_runs_with_a_record_are_done(plan_of, tmp_path: Path):
    point = plan_of("seed=range(3)").points[0]
    write_record(Tree(tmp_path).run_dir(point.dataset, point.model, point.config_id, 1), {}, {})
    plan = plan_of("seed=range(3)")
    assert plan.done == {(0, 1)}
    assert plan.todo == [(0, 0), (0, 2)]


def test_runs_by_other_code_are_done_again_where_that_is_asked_for(
    configurations: Configurations, tmp_path: Path
):
    tree, found = Tree(tmp_path), expand(["seed=range(3)"], configurations)

    def plan(rerun: str | None = None) -> Plan:
        return make_plan(found.combinations, lambda config: {"sha256": "0" * 64}, tree, rerun)

    first = plan()
    for run, code in zip(first.runs, ("other", source_sha256(), "other"), strict=True):
        made_by = {"provenance": {"source_sha256": code}}
        write_record(first.folder(run), made_by, {"history.csv": code.encode()})
    assert len(plan().done) == 3
    again = plan("stale")
    assert (again.done, again.stale, again.todo) == ({(0, 1)}, {(0, 0), (0, 2)}, [(0, 0), (0, 2)])
    assert len(plan().done) == 3
    set_stale_aside(again)
    assert plan().done == {(0, 1)}
    folder = again.folder((0, 0))
    (kept,) = folder.glob("earlier/*")
    assert sorted(path.name for path in kept.iterdir()) == ["history.csv", "record.json"]
    assert [path.name for path in folder.iterdir()] == ["earlier"]


def test_launches_keep_their_plan_and_are_merged(plan_of, tmp_path: Path):
    tree = Tree(tmp_path)
    settings = {"hydra": {"launcher": {"kind": "local"}}}
    folder = open_launch(tree, ["model=scvi"], plan_of("seed=0,1").columns(), {}, settings)
    open_launch(tree, [], plan_of("model=scvi,scvi_mine", "mine.scale=1,2", "seed=1").columns(), {}, settings)
    assert pq.read_table(folder / "plan.parquet").num_rows == 2
    assert sorted(path.name for path in folder.iterdir() if path.name != DIFF) == [
        "argv",
        "ended",
        "environment",
        "launch.json",
        "logs",
        "plan.parquet",
        "points.json",
        "source.zip",
    ]
    merged = planned(tree)
    assert len(merged) == 4
    assert sorted(merged["grid"].unique()) == ['{"mine.scale":1.0}', '{"mine.scale":2.0}', "{}"]


def test_a_hundred_thousand_runs_compose_once_per_choice(plan_of, configurations, monkeypatch):
    composed = []
    original = Configurations._compose

    def compose(self, choices):
        composed.append(choices)
        return original(self, choices)

    monkeypatch.setattr(Configurations, "_compose", compose)
    configurations._composed.clear()
    scales = ",".join(map(str, range(1, 20)))
    plan = plan_of("model=scvi,scvi_mine", f"mine.scale={scales}", "seed=range(5000)")
    columns = plan.columns()
    assert len(plan.runs) == len(columns["run_id"]) == len(set(columns["run_id"])) == 100_000
    assert len(composed) <= 2 + sum(map(len, configurations.groups.values()))


@pytest.fixture
def plan(plan_of) -> Plan:
    made: Plan = plan_of("model=scvi,scvi_mine", "mine.scale=50,150")
    return made


@pytest.mark.parametrize(
    "wanted", [None, "scvi", "scvi_mine mine.scale=50", "mine.scale=150", "model.n_latent=10"]
)
def test_a_baseline_that_a_row_is(wanted: str | None, plan: Plan):
    check_baseline(wanted, plan)
    check_baseline(plan.points[1].config_id[:8], plan)


@pytest.mark.parametrize("wanted", ["pca", "scvi mine.scale=50", "mine.scale=51"])
def test_one_that_no_row_can_be(wanted: str, plan: Plan):
    with pytest.raises(
        BadInput, match=f"study.baseline={wanted}: no row of this study is that.* Rows: scvi; scvi_mine"
    ):
        check_baseline(wanted, plan)


def test_a_row_of_an_earlier_launch_is_one(plan_of, plan: Plan, tmp_path: Path):
    control = plan_of("model=pca")
    open_launch(Tree(tmp_path), [], control.columns(), {}, {"hydra": {"launcher": {"kind": "local"}}})
    check_baseline("pca", plan)
