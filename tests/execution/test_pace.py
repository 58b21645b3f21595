"""Which runs a task may still start."""

from dataclasses import replace
from pathlib import Path

import pytest

from bie.config import RunConfig
from bie.execution.pace import Deadline, Pace
from bie.execution.task import Outcome, Task
from bie.planning.compose import Configurations
from bie.planning.expand import expand


@pytest.fixture
def task(configurations: Configurations):
    def make(config_id: str, *typed: str) -> Task:
        config: RunConfig = expand(typed, configurations).combinations[0].config
        return Task("title", config, {}, config_id, Path("shelf"), {}, Path(config_id))

    return make


def test_a_run_starts_only_if_it_ends_before_the_warning():
    deadline = Deadline(left=100.0, whole=1000.0)
    assert deadline.admits(90.0)
    assert not deadline.admits(110.0)
    assert deadline.admits(None), "nothing is known"
    assert deadline.admits(1100.0), "no task could finish it"


def test_what_was_seen_counts_more_than_the_forecast(task):
    pace = Pace({"a": 10.0})
    one, other = task("a", "train.epochs=10"), task("b", "train.epochs=20")
    assert (pace.expected(one), pace.expected(other)) == (10.0, None)
    pace.learn(one, Outcome("done", seconds=40.0))
    pace.learn(one, Outcome("done", seconds=30.0))
    pace.learn(one, Outcome("failed", "nan", seconds=500.0))
    assert pace.expected(one) == 40.0
    assert pace.expected(other) == 80.0, "the same model on the same cells, twice the epochs"
    assert pace.expected(replace(other, shelf=Path("others"))) is None
    assert pace.expected(task("c", "model=scvi_mine")) is None
