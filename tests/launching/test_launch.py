"""What starts: runs in this command, or jobs that outlive it; what is said of it, and its exit code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.launching import bundling, local_queue
from bie.launching import launch as launching
from bie.launching.bundling import Limits
from bie.launching.launch import Order, launch, order_of
from bie.launching.slurm import SlurmError
from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.plan import make_plan
from bie.store.launches import planned_tasks
from bie.store.paths import Tree
from bie.store.record import write_record

Make = Callable[..., Order]
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.runs_per_job=2")
LOCAL = ("hydra/launcher=submitit_local", "hydra.launcher.runs_per_job=3")


@pytest.fixture
def order(configurations: Configurations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Order of four runs, on a cluster whose limits are Slurm's defaults."""
    monkeypatch.setattr(bundling, "limits_of", lambda *of: Limits(1001, 10_000, True))

    def make(*typed: str, done: int = 0) -> Order:
        expansion = expand(["dataset.size=smoke", "seed=range(4)", *typed], configurations)
        tree, datasets = Tree(tmp_path / "v1" / "study"), Datasets()
        (point,) = make_plan(expansion.combinations, datasets.content, tree).points
        for seed in range(done):
            write_record(tree.run_dir(point.dataset, point.model, point.config_id, seed), {}, {})
        plan = make_plan(expansion.combinations, datasets.content, tree)
        return order_of(plan, datasets, ["typed"], expansion.settings, {})

    return make


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of the launches that Slurm has taken."""
    taken: list[Path] = []

    def submit(folder: Path, *of: object):
        taken.append(folder)
        yield "job 7_[0-1]"

    monkeypatch.setattr(launching, "submit", submit)
    return taken


def test_jobs_are_submitted_and_left_alone(order: Make, submitted: list[Path], capsys):
    assert launch(order(*SLURM), None) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("4 runs; 2 tasks of 2 runs each in 1 wave (MaxArraySize 1001), 256 at a time")
    assert said[1].startswith("source, config and lock frozen in ")
    assert said[2].startswith("submitted job 7_[0-1].  bie status ")
    assert [task for *_, task in planned_tasks(submitted[0])] == [0, 0, 1, 1]


def test_what_is_done_is_no_part_of_an_order(order: Make, submitted: list[Path], capsys):
    assert launch(order(*SLURM, done=4), None) == 0
    assert not submitted
    assert "4 were done before.   exit 0" in capsys.readouterr().out


def test_a_job_that_slurm_does_not_take_leaves_nothing_behind(order: Make, monkeypatch: pytest.MonkeyPatch):
    def refuse(*of: object):
        raise SlurmError("Invalid qos specification")

    monkeypatch.setattr(launching, "submit", refuse)
    made = order(*SLURM)
    with pytest.raises(BadInput, match="Slurm did not take the job: Invalid qos"):
        launch(made, None)
    assert not list(made.tree.launches.iterdir())


def test_waves_that_slurm_takes_no_more_are_named_with_the_remedy(
    order: Make, monkeypatch: pytest.MonkeyPatch, capsys
):
    def one(*of: object):
        yield "job 7"
        raise SlurmError("QOSMaxSubmitJobPerUserLimit")

    monkeypatch.setattr(launching, "submit", one)
    assert launch(order(*SLURM), None) == 1
    said = capsys.readouterr()
    assert "submitted job 7." in said.out
    assert said.err.splitlines()[-1] == "the same command later adds what is missing"


def test_tasks_of_this_machine_go_to_a_queue_of_their_own(
    order: Make, monkeypatch: pytest.MonkeyPatch, capsys
):
    started: list[object] = []

    def start(folder: Path, settings: object, *of: int) -> str:
        started.append(of)
        return "process 12"

    monkeypatch.setattr(local_queue, "start", start)
    assert launch(order(*LOCAL), None) == 0
    assert started == [(2, 1)]
    assert "on this machine without Slurm" in capsys.readouterr().out


def test_who_waits_stays_to_the_end_of_the_launch(order: Make, submitted: list[Path]):
    stayed: list[tuple[Tree, str]] = []

    def stay(tree: Tree, name: str) -> int:
        stayed.append((tree, name))
        return 1

    asked = order(*SLURM, "hydra.launcher.wait=true")
    assert launch(asked, None, stay) == 1
    assert stayed == [(asked.tree, submitted[-1].name)]
    assert launch(order(*SLURM), None, stay) == 0
    assert len(stayed) == 1
