from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.planning.baseline import check_baseline
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.plan import Plan, make_plan
from bie.store.launches import open_launch
from bie.store.paths import Tree


@pytest.fixture
def plan_of(configurations: Configurations, tmp_path: Path):
    def plan(*overrides: str) -> Plan:
        hashes = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}
        return make_plan(expand(overrides, configurations).combinations, lambda _: hashes, Tree(tmp_path))

    return plan


@pytest.fixture
def plan(plan_of) -> Plan:
    made: Plan = plan_of("model=scvi,scvi_mine", "mine.scale=50,150")
    return made


@pytest.mark.parametrize(
    "wanted", [None, "scvi", "scvi_mine mine.scale=50", "mine.scale=150", "model.n_latent=10"]
)
def test_a_baseline_that_a_row_is(wanted: str | None, plan: Plan, tmp_path: Path):
    check_baseline(wanted, plan, Tree(tmp_path))
    check_baseline(plan.points[1].config_id[:8], plan, Tree(tmp_path))


@pytest.mark.parametrize("wanted", ["pca", "scvi mine.scale=50", "mine.scale=51"])
def test_one_that_no_row_can_be(wanted: str, plan: Plan, tmp_path: Path):
    with pytest.raises(
        BadInput, match=f"study.baseline={wanted}: no row of this study is that.* Rows: scvi; scvi_mine"
    ):
        check_baseline(wanted, plan, Tree(tmp_path))


def test_a_row_of_an_earlier_launch_is_one(plan_of, plan: Plan, tmp_path: Path):
    control = plan_of("model=pca")
    open_launch(Tree(tmp_path), [], control.columns(), {}, {"hydra": {"launcher": {"kind": "local"}}})
    check_baseline("pca", plan, Tree(tmp_path))
