"""Settings of a launch: where it writes, how it runs, and what of an earlier one may be changed."""

from pathlib import Path

import pytest

from bie import devices
from bie.config import Local
from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.settings import (
    amended,
    check_device,
    check_environment,
    local_workers,
    needs_workers,
    tree_of,
)


def test_a_study_has_a_folder_of_its_version(configurations: Configurations):
    settings = expand(["outputs=my data", "version=v2", "study.name=pilot"], configurations).settings
    assert tree_of(settings).root == Path("my data/v2/pilot")


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        ([], True),
        (["hydra.launcher.workers=0"], False),
        (["hydra/launcher=submitit_local"], False),
    ],
)
def test_workers_are_needed_where_the_command_itself_runs_things(
    typed: list[str], needed: bool, configurations: Configurations
):
    assert needs_workers(expand(typed, configurations).settings) is needed


def test_workers_are_as_asked_for_or_one_a_core_and_never_more_than_tasks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices, "cores", lambda: 4)
    asked = [(None, 9), (None, 3), (8, 9), (8, 5), (None, 0)]
    assert [local_workers(Local(workers=n), tasks) for n, tasks in asked] == [4, 3, 8, 5, 1]


def test_a_gpu_that_is_not_here_is_refused_unless_jobs_go_elsewhere(
    configurations: Configurations, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices, "has_cuda", lambda: False)
    check_device(expand(["device=cuda", "hydra/launcher=submitit_slurm"], configurations).settings)
    for launcher in ("local", "submitit_local"):
        with pytest.raises(BadInput, match="device=cuda"):
            check_device(expand(["device=cuda", f"hydra/launcher={launcher}"], configurations).settings)


def test_keys_of_earlier_launches_are_known_by_their_names_of_then(configurations: Configurations):
    now = expand(["matmul_precision=tf32", "device=cuda"], configurations).settings
    stored = now.model_dump(mode="json")
    stored["products"] = stored.pop("matmul_precision")
    assert amended(stored, [], configurations) == now


def test_of_an_earlier_launch_how_may_be_changed_but_not_what(configurations: Configurations):
    first = expand(["hydra/launcher=submitit_slurm", "site=spartan"], configurations).settings
    stored = first.model_dump(mode="json")
    again = amended(stored, ["site.qos=long", "hydra.launcher.canary=true"], configurations)
    assert (again.site.qos, again.site.name) == ("long", "spartan")
    assert again.hydra.launcher.kind == "submitit_slurm"
    assert getattr(again.hydra.launcher, "canary", None) is True
    assert amended(stored, [], configurations) == first
    for typed in ("train.epochs=3", "site.qos=a,b", "outputs=elsewhere"):
        with pytest.raises(BadInput, match="runs stay as they are"):
            amended(stored, [typed], configurations)
    for typed, said in (
        ("site.qoss=long", r"site\.qoss is not a setting\. Did you mean site\.qos\?"),
        ("packs=2", r"packs is not a setting\. Did you mean pack\?"),
        ("mine.scal=3", r"mine\.scal is not a setting\. Did you mean mine\.scale\?"),
        (
            "hydra.launcher.workers=2",
            "is a setting of hydra/launcher=local, not of hydra/launcher=submitit_slurm",
        ),
        ("hydra.job.name=x", r"a job hydra\.launcher\.name="),
    ):
        with pytest.raises(BadInput, match=said):
            amended(stored, [typed], configurations)


@pytest.fixture
def _other_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bie.store.environment.installed", lambda: {"numpy": "1.0"})


def _said(configurations: Configurations, *typed: str) -> str | None:
    return check_environment(expand(typed, configurations).settings)


def test_an_environment_as_the_lock_is_passed_over(configurations: Configurations, monkeypatch):
    monkeypatch.setattr("bie.store.environment.installed", dict)
    assert _said(configurations) is None


@pytest.mark.usefixtures("_other_numpy")
def test_a_launch_warns_refuses_or_ignores(configurations: Configurations):
    said = _said(configurations)
    assert said is not None
    assert "numpy 1.0 (not " in said
    assert _said(configurations, "environment=ignore") is None
    with pytest.raises(BadInput, match=r"environment=refuse: not as in requirements\S*: numpy 1.0"):
        _said(configurations, "environment=refuse")
