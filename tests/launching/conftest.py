"""A study on disk, a Slurm whose answers are files, a run, a launch and a pool for its task."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import array_task
from bie.launching.array_task import Incarnation
from bie.launching.launched import grid_points
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.launches import open_launch
from bie.store.paths import Tree
from bie.store.record import write_record
from tests.disk import captured, disk, point, slurm
from tests.execution.conftest import make_run

__all__ = ["captured", "disk", "make_run", "point", "slurm"]

Launch = Callable[..., Path]


@pytest.fixture
def launch(configurations: Configurations, tmp_path: Path) -> Launch:
    """Folder of a launch of four runs in one task."""

    def make(*typed: str, seconds: float | None = None) -> Path:
        expansion = expand(
            ["hydra/launcher=submitit_local", "dataset.size=smoke", "seed=range(4)", *typed], configurations
        )
        tree, datasets = Tree(tmp_path / "v1" / "study"), Datasets()
        plan = make_plan(expansion.combinations, datasets.content, tree)
        known = grid_points(plan, datasets, {} if seconds is None else {0: seconds}, {})
        columns = plan.columns()
        columns["task"] = [0] * len(plan.runs)
        return open_launch(tree, [], columns, known, expansion.settings.model_dump(mode="json"))

    return make


def run(seed: int) -> RunSpec:
    """As much of a run as its events tell."""
    return SimpleNamespace(config_id="c", config=SimpleNamespace(seed=seed))  # type: ignore[return-value]


class Script:
    """A pool whose runs end as the script says, by seed; those it does not name are done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: dict[int, Outcome] = {}
        self.started: list[int] = []
        self.asked: list[str] = []  # how many runs the server was to be ready for
        self.after = 0.0
        self.epochs = 0
        self.during: Callable[[int], None] = lambda seed: None
        monkeypatch.setattr(array_task, "Pool", lambda *arguments: self)
        monkeypatch.setattr(array_task, "warm_up", self.asked.append)
        self._interrupted = False

    def interrupt(self) -> None:
        self._interrupted = True

    def run(
        self, tasks: list[RunSpec], observer: Incarnation, admit: Callable[[tuple[RunSpec, ...]], bool]
    ) -> None:
        for task in tasks:
            if self._interrupted or not admit((task,)):
                continue
            seed = task.config.seed
            self.started.append(seed)
            observer.started(task)
            for epoch in range(self.epochs):
                observer.epoch(task, epoch)
            self.during(seed)
            if self.after:
                time.sleep(self.after)
            outcome = self.ends.get(seed, Outcome("done", seconds=1.0))
            if outcome.status == "done":
                write_record(task.folder, {}, {})
            observer.ended(task, outcome)
        self._interrupted = False


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", "7")
    return Script(monkeypatch)
