"""The state of every planned run, against folders and Slurm answers written by hand."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bie.analysis import parse
from bie.analysis.files import stamp_of
from bie.analysis.study import read_study
from bie.monitoring.overview import as_text
from bie.monitoring.study_status import read_status
from bie.store.claims import take
from bie.store.owner import Owner


def states(disk: Any) -> dict[int, str]:
    """State and cause by seed."""
    status = read_status(disk.tree)
    return {run.seed: f"{run.state} {run.cause}".strip() for run in status.runs}


def test_records_claims_and_failures_tell_in_this_order(disk: Any, point: Any):
    disk.launch([(point, seed, 0) for seed in range(5)], {})
    disk.run(point, 0, "record.json")
    disk.failure(point, 0, "nan", "from an earlier attempt")
    disk.failure(point, 1, "nan", "at epoch 3")
    claimed = disk.failure(point, 2, "nan", "at epoch 3").parent
    disk.run(point, 3, "claim.json", {"host": "elsewhere", "pid": 1})
    os.utime(disk.run(point, 4, "claim.json", {"host": "elsewhere", "pid": 1}), (1, 1))
    claim = take(claimed, Owner.here())
    assert claim is not None
    with claim:
        expected = {0: "done", 1: "failed nan", 2: "running", 3: "running", 4: "missing"}
        assert states(disk) == expected


def test_what_is_not_run_of_a_decided_grid_point_is_not_missing(disk: Any, point: Any):
    disk.launch([(point, seed, 0) for seed in range(4)], {})
    disk.run(point, 0, "record.json")
    disk.failure(point, 1, "nan", "at epoch 3")
    note = disk.run(point, 0, "record.json").parents[1] / "decided.json"
    note.write_text(json.dumps({"reason": "better after 12 pairs"}))
    assert states(disk) == {0: "done", 1: "failed nan"}
    assert "better after 12 pairs" in "\n".join(as_text(read_status(disk.tree)))
    study = read_study(disk.tree)
    assert study.runs["seed"].tolist() == [0, 1]
    assert list(study.decided.values()) == ["better after 12 pairs"]


def test_the_tasks_of_an_array_tell_of_the_runs_left_undone(disk: Any, point: Any, slurm: Any):
    disk.on_slurm(
        [(point, task, task) for task in range(12)], (18, 0, 5), (19, 5, 4), (20, 9, 1), (21, 10, 2)
    )
    disk.run(point, 1, "record.json")
    disk.failure(point, 2, "nan", "at epoch 3")
    assert states(disk) == {
        0: "missing",  # COMPLETED explains nothing
        1: "done",
        2: "failed nan",
        3: "failed cancelled",
        4: "failed killed",
        5: "failed node",
        6: "queued",
        7: "queued",
        8: "queued",
        9: "queued",
        10: "failed timeout",
        11: "failed timeout",
    }


def test_a_run_is_never_dead_because_slurm_forgot_it(disk: Any, point: Any, slurm: Any):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.forget()
    slurm.no_accounting()
    assert states(disk) == {0: "missing"}


def test_the_note_of_the_task_itself_counts_where_slurm_forgot(disk: Any, point: Any, slurm: Any):
    folder = disk.on_slurm([(point, seed, seed) for seed in range(4)], (18, 0, 4))
    slurm.forget()
    slurm.no_accounting()
    (folder / "ended").mkdir()
    for task, code in enumerate((137, 124, 0)):
        (folder / "ended" / str(task)).write_text(json.dumps({"code": code, "job": "18_0", "restart": 0}))
    assert states(disk) == {0: "failed killed", 1: "failed timeout", 2: "missing", 3: "missing"}


def test_slurm_says_killed_before_the_note_of_an_earlier_incarnation_counts(
    disk: Any, point: Any, slurm: Any
):
    folder = disk.on_slurm([(point, 0, 1)], (19, 0, 4))
    (folder / "ended").mkdir()
    (folder / "ended" / "1").write_text(json.dumps({"code": 137}))
    assert states(disk) == {0: "queued"}, "19_1 runs again"


def test_a_task_that_ended_with_1_explains_only_that_nothing_at_all_came_out(
    disk: Any, point: Any, slurm: Any
):
    runs = [(point, 0, 1), (point, 1, 1)]
    folder = disk.on_slurm(runs, (18, 0, 5))
    assert states(disk) == {0: "failed error", 1: "failed error"}
    disk.failure(point, 0, "nan", "at epoch 3")
    assert states(disk) == {0: "failed nan", 1: "missing"}
    (disk.root / "runs").rename(disk.root / "gone")
    (folder / "stopped.json").write_text(json.dumps({"reason": "20 times nan"}))
    assert states(disk) == {0: "missing", 1: "missing"}, "it was told to stop"


def test_a_failure_of_an_earlier_launch_is_queued_again_but_not_forgotten(disk: Any, point: Any, slurm: Any):
    disk.on_slurm([(point, 0, 0), (point, 1, 0)], (18, 0, 1))
    for seed in (0, 1):
        os.utime(disk.failure(point, seed, "nan", "at epoch 3"), (time.time() - 60, time.time() - 60))
    later = [{"kind": "runs", "job_id": "19", "first_task": 0, "n_tasks": 4}]
    about = {"launcher": "submitit_slurm"}
    disk.launch([(point, 0, 2)], about, later, name="20260102-000000-81d0")
    assert states(disk) == {0: "queued", 1: "failed nan"}
    slurm.forget()
    slurm.no_accounting()
    assert states(disk) == {0: "failed nan", 1: "failed nan"}


def test_the_last_launch_that_had_a_run_to_do_answers_for_it(disk: Any, point: Any, slurm: Any):
    disk.on_slurm([(point, 0, 0)], (21, 0, 1))
    later = [{"kind": "runs", "job_id": "19", "first_task": 0, "n_tasks": 4}]
    disk.launch([(point, 0, 2)], {"launcher": "submitit_slurm"}, later, name="20260102-000000-81d0")
    disk.launch([(point, 0, -1)], {}, name="20260103-000000-0000")
    assert states(disk) == {0: "queued"}


def test_a_local_launch_under_way_has_its_runs_queued(disk: Any, point: Any):
    with subprocess.Popen([sys.executable, "-c", "input()", "bie"], stdin=subprocess.PIPE) as process:
        disk.launch([(point, 0, 0), (point, 1, -1)], {"pid": process.pid})
        assert states(disk) == {0: "queued", 1: "missing"}
    assert states(disk) == {0: "missing", 1: "missing"}


def test_a_process_number_that_was_given_to_somebody_else_is_not_ours(disk: Any, point: Any):
    folder = disk.launch([(point, 0, 0)], {"pid": os.getpid()})
    os.utime(folder / "launch.json", (1, 1))  # noted long before this process started
    assert states(disk) == {0: "missing"}


def test_a_claim_shows_that_a_launch_on_another_machine_is_alive(disk: Any, point: Any):
    folder = disk.launch([(point, 0, 0), (point, 1, 0)], {"host": "elsewhere", "pid": 1})
    disk.run(point, 0, "claim.json", {"host": "elsewhere", "pid": 2, "launch": folder.name})
    assert states(disk) == {0: "running", 1: "queued"}


def test_what_was_done_is_not_looked_at_again(disk: Any, point: Any, monkeypatch: pytest.MonkeyPatch):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    disk.run(point, 0, "record.json")
    first = read_status(disk.tree)
    looked: list[str] = []
    look = "bie.monitoring.study_status.stamp_of"
    monkeypatch.setattr(look, lambda path: looked.append(path) or stamp_of(path))  # type: ignore[func-returns-value]
    disk.run(point, 1, "record.json")
    second = read_status(disk.tree, first)
    assert Counter(run.state for run in second.runs) == {"done": 2, "missing": 1}
    assert [Path(path).parent.name for path in looked] == ["seed=0001"]


def test_a_run_of_two_launches_is_expected_once(disk: Any, point: Any):
    for name in ("20260101-000000-0001", "20260102-000000-0002"):
        disk.launch([(point, 0, 0)], {}, name=name)
    assert len(read_status(disk.tree).runs) == 1


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 1, "run_id"', '{"schema": 99}'])
def test_a_record_that_cannot_be_read_is_a_failure_as_it_is_for_the_tables(
    disk: Any, point: Any, content: str
):
    disk.launch([(point, seed, 0) for seed in range(2)], {})
    disk.run(point, 0, "record.json")
    disk.run(point, 1, "record.json").write_text(content)
    assert states(disk) == {0: "done", 1: "failed unreadable"}
    assert read_study(disk.tree).runs["state"].tolist() == ["done", "unreadable"]


def test_records_that_were_read_for_the_tables_are_not_read_again(
    disk: Any, point: Any, monkeypatch: pytest.MonkeyPatch
):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    for seed in range(3):
        os.utime(disk.run(point, seed, "record.json"), (1, 1))
    spoilt = disk.run(point, 1, "record.json")
    spoilt.write_text("{")
    read_study(disk.tree)
    found = states(disk)
    assert found == {0: "done", 1: "failed unreadable", 2: "done"}
    disk.run(point, 2, "record.json").write_text("{}")
    read = list[str]()
    content = parse._content
    monkeypatch.setattr(parse, "_content", lambda path: read.append(path) or content(path))  # type: ignore[func-returns-value]
    assert states(disk) == {0: "done", 1: "failed unreadable", 2: "failed unreadable"}
    assert [Path(path).parent.name for path in read] == ["seed=0001", "seed=0002"]


def test_a_task_that_slurm_killed_for_its_memory_says_so_in_its_log(disk: Any, point: Any, slurm: Any):
    folder = disk.on_slurm([(point, 4, 4)], (18, 0, 5))
    assert states(disk) == {4: "failed killed"}
    said = "slurmstepd: error: StepId=18.batch exceeded memory limit (2 > 1), being killed\n"
    log = folder / "logs" / "18_4.log"
    log.write_text(said)
    assert states(disk) == {4: "failed oom"}
    log.rename(log.with_suffix(".err"))  # stderr_to_stdout=false, as hydra-submitit-launcher has it
    assert states(disk) == {4: "failed oom"}


def test_many_records_are_read_by_several_processes_as_by_one(
    disk: Any, point: Any, monkeypatch: pytest.MonkeyPatch
):
    disk.launch([(point, seed, 0) for seed in range(5)], {})
    for seed in range(4):
        disk.run(point, seed, "record.json")
    disk.run(point, 2, "record.json").write_text('{"schema": 99}')
    alone = states(disk)
    assert alone == {0: "done", 1: "done", 2: "failed unreadable", 3: "done", 4: "missing"}
    monkeypatch.setattr("bie.monitoring.study_status.AT_ONCE", 1)
    monkeypatch.setattr("bie.devices.cores", lambda: 2)
    assert states(disk) == alone
