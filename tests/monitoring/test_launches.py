"""What the folder of a launch says of its tasks; find the run that somebody means."""

import os
from typing import Any

import pytest

from bie.logs import main
from bie.monitoring.launches import Launch, read_launches
from bie.store.launches import Exit, note_end

Printed = pytest.CaptureFixture[str]


def only(disk: Any) -> Launch:
    (launch,) = read_launches(disk.tree)
    return launch


def test_tasks_of_arrays_and_plain_jobs_have_slurms_names(disk: Any, point: Any):
    jobs = [
        {"kind": "runs", "job_id": "18", "first_task": 0, "n_tasks": 3, "log": "x/%j_%t_log.out"},
        {"kind": "runs", "job_id": "19", "first_task": 3, "n_tasks": 1, "log": "x/%j_%t_log.out"},
    ]
    disk.launch([(point, 0, 0)], {"launcher": "submitit_slurm"}, jobs)
    launch = only(disk)
    assert [launch.key_of(task) for task in (2, 3, 4)] == [("18", 2), ("19", 0), None]
    assert [launch.name_of(task) for task in (2, 3)] == ["18_2", "19"]
    assert [str(launch.log_of(task)) for task in (2, 3)] == ["x/18_2_0_log.out", "x/19_0_log.out"]


def test_a_task_that_goes_back_into_the_queue_has_not_ended(disk: Any, point: Any):
    folder = disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    (folder / "ended").mkdir()
    note_end(folder, "0", Exit.REQUEUE)
    assert only(disk).exit_code(0) is None
    note_end(folder, "0", 1)
    assert only(disk).exit_code(0) == 1


@pytest.fixture
def outputs(disk: Any) -> str:
    return f"--outputs={disk.root.parents[1]}"


@pytest.mark.parametrize("end", ["", "/", "/failed.json"])
def test_a_run_by_its_folder(end: str, disk: Any, point: Any, outputs: str, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    folder = disk.failure(point, 2, "nan", "x").parent
    assert main([f"{folder}{end}", outputs]) == 0
    assert capsys.readouterr().out.startswith(f"run {point.run_id(2)[:12]}")
    assert main([f"{folder.parent.name}/seed=0002{end}", outputs]) == 0
    assert capsys.readouterr().out.startswith(f"run {point.run_id(2)[:12]}")


def test_who_is_meant_has_to_be_clear(disk: Any, point: Any, outputs: str, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    assert main(["", outputs]) == 2
    err = capsys.readouterr().err
    assert "means 3 runs" in err
    assert point.run_id(1)[:12] in err
    assert main(["xyz", outputs]) == 2
    assert "xyz: no run" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main([outputs])
    assert stopped.value.code == 2


def test_a_run_of_an_older_study_is_found(disk: Any, point: Any, outputs: str, capsys: Printed):
    other = type(point)(5000)
    type(disk)(disk.root.parent / "older").launch([(other, 0, 0)], {})
    disk.launch([(point, 0, 0)], {})
    assert main([other.run_id(0)[:12], outputs]) == 0
    assert "missing" in capsys.readouterr().out


def test_of_studies_of_the_same_moment_none_is_passed_over(
    disk: Any, point: Any, outputs: str, capsys: Printed
):
    points = {f"study_{i}": type(point)(scale) for i, scale in enumerate(range(5000, 5009))}
    for name, of_study in points.items():
        other = type(disk)(disk.root.parent / name)
        other.launch([(of_study, 0, 0)], {})
        os.utime(other.root / "launches", ns=(10**18, 10**18))
    for of_study in points.values():
        assert main([of_study.run_id(0)[:12], outputs]) == 0
    assert capsys.readouterr().err == ""
