"""Runs into tasks, tasks into arrays."""

from pathlib import Path
from typing import Any

import pytest

from bie.errors import BadInput
from bie.launching.bundling import Limits, bundle, limits_of, mean_seconds

DEFAULTS = Limits(1001, 10_000, True)


@pytest.mark.parametrize("n_runs", [1, 7, 999, 2100, 10_500])
@pytest.mark.parametrize("quota", [1, 3, 5000])
@pytest.mark.parametrize("array_size", [1, 5, 1001])
def test_every_run_has_one_task_and_every_task_one_place(n_runs: int, quota: int, array_size: int):
    bundling = bundle(n_runs, Limits(array_size, quota, True), workers=1)
    assert sorted({i // bundling.per_task for i in range(n_runs)}) == list(range(bundling.n_tasks))
    assert bundling.n_tasks <= quota
    assert max(bundling.waves) <= array_size
    places = [
        first + index
        for first, n in zip(bundling.first_tasks, bundling.waves, strict=True)
        for index in range(n)
    ]
    assert places == list(range(bundling.n_tasks))


def test_waves_are_as_few_as_possible():
    assert bundle(1001, DEFAULTS, 1, asked=1).waves == (1001,)
    assert bundle(1002, DEFAULTS, 1, asked=1).waves == (1001, 1)
    assert bundle(0, DEFAULTS, 1).waves == ()


def test_a_value_that_does_not_fit_is_refused_with_the_smallest_that_does():
    with pytest.raises(
        BadInput, match=r"runs_per_job=2: .*1,050 tasks, and 500 .*smallest value that fits is 5"
    ):
        bundle(2100, Limits(1001, 500, True), 1, asked=2)
    assert bundle(2100, Limits(1001, 500, True), 1, asked=5).n_tasks == 420
    with pytest.raises(BadInput, match="no further jobs"):
        bundle(5, Limits(1001, 0, True), 1)


@pytest.mark.parametrize(
    ("seconds", "per_task"),
    [
        (None, 21),  # a hundred tasks
        (60.0, 21),
        (1.0, 300),  # at least five minutes a task
        (300.0, 6),  # at most half an hour, which is half the limit
        (7200.0, 1),  # longer than the limit: it goes on from checkpoints
    ],
)
def test_tasks_are_neither_short_nor_near_their_limit(seconds: float | None, per_task: int):
    assert bundle(2100, DEFAULTS, 1, None, seconds, 3600.0).per_task == per_task


def test_more_workers_take_more_runs():
    assert bundle(2100, DEFAULTS, 4, None, 300.0, 3600.0).per_task == 21
    assert bundle(8, DEFAULTS, 4).per_task == 4


def test_mean_over_grid_points_weighs_by_runs_and_needs_all():
    assert mean_seconds([(10.0, 1), (40.0, 2)]) == 30.0
    assert mean_seconds([(10.0, 1), (None, 2)]) is None
    assert mean_seconds([]) is None


def test_limits_without_slurm_are_its_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert limits_of("me") == Limits(1001, 10000, False)


@pytest.mark.parametrize(
    ("associations", "qos", "quota"),
    [
        ("", "", 9997),  # three tasks are in the queue
        ("phys||", "", 9997),
        ("phys|100|", "", 98),  # two of them are mine
        ("phys|100|\nbio|200|", "", 198),  # which account it will be is not known
        ("phys|100|normal", "50", 48),
    ],
)
def test_limits_count_what_is_queued(slurm: Any, associations: str, qos: str, quota: int):
    slurm.command("scontrol", "printf 'MaxArraySize            = 1001\\nMaxJobCount             = 10000\\n'")
    slurm.command("squeue", "printf 'me\\nyou\\nme\\n'")
    slurm.command("sacctmgr", f"case $* in *assoc*) printf '{associations}\\n';; *qos*) echo '{qos}';; esac")
    assert limits_of("me") == Limits(1001, quota, True)
