"""Which runs a run may still start."""

from dataclasses import replace
from pathlib import Path

import pytest

from bie.config import RunConfig
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.run_time import Deadline, RunTimes
from bie.planning.compose import Configurations
from bie.planning.expand import expand


@pytest.fixture
def spec(configurations: Configurations):
    def make(config_id: str, *typed: str) -> RunSpec:
        config: RunConfig = expand(typed, configurations).combinations[0].config
        return RunSpec("title", config, {}, config_id, Path("shelf"), {}, Path(config_id))

    return make


def test_a_run_starts_only_if_it_ends_before_the_warning():
    deadline = Deadline(left=100.0, whole=1000.0)
    assert deadline.admits(90.0)
    assert not deadline.admits(110.0)
    assert deadline.admits(None), "nothing is known"
    assert deadline.admits(1100.0), "no run could finish it"


def test_what_was_seen_counts_more_than_the_forecast(spec):
    run_times = RunTimes({"a": 10.0})
    one, other = spec("a", "train.epochs=10"), spec("b", "train.epochs=20")
    assert (run_times.expected(one), run_times.expected(other)) == (10.0, None)
    run_times.learn(one, Outcome("done", seconds=40.0))
    run_times.learn(one, Outcome("done", seconds=30.0))
    run_times.learn(one, Outcome("failed", "nan", seconds=500.0))
    assert run_times.expected(one) == 40.0
    assert run_times.expected(other) == 80.0, "the same model on the same cells, twice the epochs"
    assert run_times.expected(replace(other, shelf=Path("others"))) is None
    assert run_times.expected(spec("c", "model=scvi_mine")) is None
