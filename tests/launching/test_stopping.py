"""Rules that stop seeds, from the settings and the plan."""

from pathlib import Path
from typing import Any

import pytest

from bie.errors import BadInput
from bie.launching.stopping import stop_rules
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.paths import Tree

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
