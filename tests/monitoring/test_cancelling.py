"""``bie cancel`` ends what belongs to the study and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bie.cancel import main

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input('bie')"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_only_the_arrays_in_the_queue_are_cancelled(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, task, task) for task in range(9)], (18, 0, 5), (19, 5, 4))
    assert main([str(disk.root)]) == 0
    assert capsys.readouterr().out == "cancelled job 19: tasks running 1, waiting 2\n"
    assert [call for call in slurm.calls if call.startswith("scancel")] == ["scancel --quiet 19"]


def test_a_canary_is_cancelled_too(disk: Any, point: Any, slurm: Any):
    jobs = [{"kind": "canary", "job_id": "20", "first_task": 0, "n_tasks": 1}]
    disk.launch([(point, 0, 0)], {"launcher": "submitit_slurm"}, jobs)
    assert main([str(disk.root)]) == 0
    assert slurm.calls[-1] == "scancel --quiet 20"


def test_nothing_under_way(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.forget()
    assert main([str(disk.root)]) == 0
    assert "is queued or running" in capsys.readouterr().out
    assert not [call for call in slurm.calls if call.startswith("scancel")]


def test_a_silent_slurm_is_no_success_story(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.command("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    assert main([str(disk.root)]) == 1
    assert "Unable to contact slurm controller" in capsys.readouterr().err


def test_a_process_of_this_host_is_told_to_stop(
    disk: Any, point: Any, sleeper: subprocess.Popen[bytes], capsys: Printed
):
    job = {"kind": "runs", "pid": sleeper.pid, "host": os.uname().nodename, "n_tasks": 1}
    jobs = [{**job, "first_task": task} for task in range(3)]
    disk.launch([(point, 0, 0)], {"launcher": "submitit_local"}, jobs)
    assert main([str(disk.root)]) == 0
    assert sleeper.wait(10) == -signal.SIGTERM
    assert capsys.readouterr().out.count("stopped process") == 1


def test_a_number_that_was_used_again_is_left_alone(
    disk: Any, point: Any, sleeper: subprocess.Popen[bytes], capsys: Printed
):
    folder = disk.launch([(point, 0, 0)], {"pid": sleeper.pid})
    os.utime(folder / "launch.json", (1, 1))
    assert main([str(disk.root)]) == 0
    assert sleeper.poll() is None
    assert "nothing of" in capsys.readouterr().out


def test_a_process_without_our_name_is_left_alone(disk: Any, point: Any, capsys: Printed):
    with subprocess.Popen(["sleep", "60"]) as process:
        disk.launch([(point, 0, 0)], {"pid": process.pid})
        assert main([str(disk.root)]) == 0
        assert process.poll() is None
        process.kill()
    assert "nothing of" in capsys.readouterr().out


def test_a_launch_of_another_host_is_named(disk: Any, point: Any, capsys: Printed):
    folder = disk.launch([(point, 0, 0)], {"host": "login2", "pid": 77})
    assert main([str(disk.root)]) == 0
    assert f"launch {folder.name} is on login2; if it still runs, there: kill 77" in capsys.readouterr().out
    disk.run(point, 0, "record.json")
    assert main([str(disk.root)]) == 0
    assert "login2" not in capsys.readouterr().out
