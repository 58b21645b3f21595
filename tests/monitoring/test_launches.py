"""What the folder of a launch says of its tasks."""

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


@pytest.mark.parametrize(("code", "cause"), [(Exit.KILLED, "killed"), (127, "error")])
def test_a_canary_that_was_ended_is_why_what_waited_is_missing(
    code: int, cause: str, disk: Any, point: Any, slurm: Any, capsys: Printed
):
    jobs = [
        {"kind": "canary", "job_id": "18", "first_task": 0, "n_tasks": 2, "log": "x/%j_%t_log.out"},
        {"kind": "runs", "job_id": "20", "first_task": 0, "n_tasks": 1, "log": "x/%j_%t_log.out"},
    ]
    folder = disk.launch([(point, 0, 0)], {"launcher": "submitit_slurm"}, jobs)
    slurm.command("squeue", 'echo "20_N/A|CANCELLED"')
    (folder / "ended").mkdir()
    note_end(folder, "canary-0", 0)
    note_end(folder, "canary-1", code)
    assert main(["--failed", str(disk.root)]) == 0
    why = f"the launch was stopped, the canary ended ({cause}); its log: x/18_1_0_log.out"
    assert f"1 run is missing: {why}" in capsys.readouterr().out
    note_end(folder, "canary-1", Exit.TERMINATED)  # by whoever cancelled the study
    assert only(disk).stopped == ""
