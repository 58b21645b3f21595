"""``bie retry``: failed and missing runs once more; ``bie cancel``: what is the study's alone."""

import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bie.cancel import main as cancel
from bie.config import Local, Settings, SubmititSlurm
from bie.monitoring.steering import choose, orders, read_causes
from bie.monitoring.study_status import read_status
from bie.planning.compose import Configurations
from bie.planning.settings import amended
from bie.retry import main
from bie.run import main as run
from bie.store.launches import COLUMNS
from bie.store.paths import Tree
from tests.conftest import TINY

Printed = pytest.CaptureFixture[str]
HERE = "hydra.launcher.workers=0"


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A launch of two runs, one of which has diverged; the other's record is lost."""
    folder = tmp_path_factory.mktemp("launched")
    with contextlib.chdir(folder):
        assert run(["-m", *TINY, "train.lr=1e-3,1e30", HERE]) == 1
    shutil.rmtree(next(folder.rglob("record.json")).parent)
    return folder


@pytest.fixture
def study(in_tmp: Path, launched: Path) -> Tree:
    """A copy of it in the working folder."""
    shutil.copytree(launched, in_tmp, dirs_exist_ok=True)
    return Tree(Path("outputs/v1/adhoc"))


def stored(launcher: str, configurations: Configurations) -> dict[str, Any]:
    plain = copy.deepcopy(configurations.composed({"hydra/launcher": launcher}).plain)  # it is shared
    return {key: plain[key] for key in Settings.model_fields}


def test_a_cause_at_a_time_then_all(study: Tree, capsys: Printed):
    (failed,) = study.runs.rglob("failed.json")
    assert main(["--cause", "oom,timeout"]) == 0
    assert "nothing to retry: 0 of 2 done; missing: 1, nan: 1" in capsys.readouterr().out
    assert main(["--cause", "nan"]) == 1
    out = capsys.readouterr().out
    assert "adhoc: 1 to do again (nan: 1)" in out
    assert "failed 1 (nan: 1)" in out
    assert json.loads(failed.read_text())["attempt"] == 2
    assert not list(study.runs.rglob("record.json"))
    assert main([str(study.root)]) == 1
    assert "2 to do again" in capsys.readouterr().out
    assert len(list(study.runs.rglob("record.json"))) == 1
    assert json.loads(failed.read_text())["attempt"] == 3


def test_a_record_that_cannot_be_read_is_made_again(study: Tree, capsys: Printed):
    assert main(["--cause", "missing"]) == 0
    (record,) = study.runs.rglob("record.json")
    whole = json.loads(record.read_text())
    record.write_text(record.read_text()[:100])
    assert main(["--cause", "unreadable"]) == 0
    assert "1 to do again (unreadable: 1)" in capsys.readouterr().out
    assert json.loads(record.read_text())["metrics"] == whole["metrics"]
    assert record.with_name("unreadable-record.json").is_file()


def test_failures_of_a_decided_grid_point_are_left_alone(disk: Any, point: Any, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(3)], {})
    disk.failure(point, 1, "nan", "at epoch 3")
    note = disk.run(point, 0, "record.json").parents[1] / "decided.json"
    note.write_text(json.dumps({"reason": "better after 12 pairs"}))
    assert main([str(disk.root)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("nothing to retry: 1 of 2 done; nan: 1")
    assert "left alone: 1 of grid points that are decided" in out


def test_a_cause_that_there_is_not_is_bad_input(disk: Any, point: Any, capsys: Printed):
    disk.launch([(point, 0, 0)], {})
    disk.failure(point, 0, "odd", "x")
    for typed, says in {
        "naan": "--cause naan: no such cause. Did you mean nan? Causes: cancelled, disk, error, ",
        "odd,fooo": "--cause fooo: no such cause. Causes: ",
        ",": "--cause : no such cause",
    }.items():
        assert main([str(disk.root), "--cause", typed]) == 2
        assert says in capsys.readouterr().err
    status = read_status(disk.tree)
    assert read_causes("odd, nan,missing", status) == ["odd", "nan", "missing"]
    assert read_causes(None, status) == []


def test_a_run_done_again_is_the_same_experiment(study: Tree):
    (plan,) = (read_status(study).runs,)
    assert main(["--cause", "missing"]) == 0
    (record,) = study.runs.rglob("record.json")
    found = json.loads(record.read_text())
    (missing,) = (run for run in plan if run.state == "missing")
    assert (found["run_id"], found["config_id"]) == (missing.run_id, missing.config_id)
    assert main(["--cause", "missing"]) == 0, "nothing is missing any more"


def test_the_new_launch_notes_the_same_plan(study: Tree, configurations: Configurations):
    status = read_status(study)
    (order,) = orders(status, status.runs, ["retry"], lambda plain: amended(plain, [], configurations))
    columns = order.plan
    assert columns["task"] == [0, 1]
    old = [(run.dataset, run.model, run.config_id, run.seed, run.run_id) for run in status.runs]
    assert list(zip(*(columns[name] for name in COLUMNS[:5]), strict=True)) == old
    assert [json.loads(grid) for grid in columns["grid"]] == [{"train.lr": 1e-3}, {"train.lr": 1e30}]


def test_only_the_launcher_can_be_changed(study: Tree, capsys: Printed):
    for bad in ("model=scvi_mine", "seed=3", "hydra.launcher.workers=1,2", "hydra.launcher.wrokers=1"):
        assert main([bad]) == 2, bad
        assert bad.split("=")[0] in capsys.readouterr().err
    assert main([str(study.root), "elsewhere"]) == 2
    assert main(["--config-dir", "nowhere", "site=x"]) == 2
    assert "--config-dir nowhere: there is no such folder" in capsys.readouterr().err
    assert len(list(study.launches.iterdir())) == 1


def test_what_cannot_be_read_is_said_where_nothing_is_left_to_do(study: Tree, capsys: Printed):
    assert main(["--cause", "oom", "site.qos=long"]) == 0
    assert main(["--cause", "oom", "site.qoss=long"]) == 2
    assert "Did you mean site.qos?" in capsys.readouterr().err


def test_cells_that_are_gone_are_named(study: Tree, capsys: Printed):
    shutil.rmtree(study.prepared)
    assert main([]) == 2
    assert "are gone" in capsys.readouterr().err


def test_settings_of_the_last_launch_stay_unless_changed(configurations: Configurations):
    plain = copy.deepcopy(stored("submitit_slurm", configurations))
    plain["hydra"]["launcher"] |= {"qos": "long", "timeout_min": 30}
    plain["version"] = "v7"
    settings = amended(plain, ["hydra.launcher.timeout_min=60", "site=spartan"], configurations)
    assert isinstance(settings.hydra.launcher, SubmititSlurm)
    assert (settings.hydra.launcher.qos, settings.hydra.launcher.timeout_min) == ("long", 60)
    assert (settings.site.name, settings.version) == ("spartan", "v7")
    local = amended(plain, ["hydra/launcher=local", "hydra.launcher.workers=2"], configurations)
    assert isinstance(local.hydra.launcher, Local)
    assert local.hydra.launcher.workers == 2
    assert plain["hydra"]["launcher"]["timeout_min"] == 30, "what was noted stays as it is"


def test_what_runs_or_waits_is_left_alone(disk: Any, point: Any, slurm: Any, captured: Path, capsys: Printed):
    disk.on_slurm([(point, task, task) for task in range(4)], (19, 0, 4))
    assert [run.seed for run in choose(read_status(disk.tree), ()).runs] == [0]
    slurm.command("squeue", f"echo '19_0|PENDING'; cat {captured}/squeue.txt")
    assert main([str(disk.root)]) == 0
    said = capsys.readouterr().out
    assert "nothing to retry" in said
    assert "running 0, queued 4" in said


def test_a_retried_failure_is_not_retried_while_it_waits(disk: Any, point: Any, slurm: Any):
    failed = disk.failure(point, 0, "nan", "x")
    os.utime(failed, (time.time() - 60, time.time() - 60))
    disk.on_slurm([(point, 0, 2)], (19, 0, 4))
    assert choose(read_status(disk.tree), ()).runs == []


def test_nothing_is_done_twice_because_slurm_is_silent(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.command("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    assert main([str(disk.root)]) == 0
    assert "left alone: 1 that may be waiting or at work; squeue: error: Unable" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["points.json", "launch.json"])
def test_of_a_launch_with_a_damaged_file_the_remedy_is_named(name: str, study: Tree, capsys: Printed):
    (path,) = study.launches.glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:100])
    assert main([str(study.root)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert line.endswith("Run the study's own command again")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()", "bie"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_only_the_arrays_in_the_queue_are_cancelled(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, task, task) for task in range(9)], (18, 0, 5), (19, 5, 4))
    assert cancel([str(disk.root)]) == 0
    assert capsys.readouterr().out == "cancelled job 19: tasks running 1, waiting 2\n"
    assert [call for call in slurm.calls if call.startswith("scancel")] == ["scancel --quiet 19"]


def test_a_canary_is_cancelled_too(disk: Any, point: Any, slurm: Any):
    jobs = [{"kind": "canary", "job_id": "20", "first_task": 0, "n_tasks": 1}]
    disk.launch([(point, 0, 0)], {"launcher": "submitit_slurm"}, jobs)
    assert cancel([str(disk.root)]) == 0
    assert slurm.calls[-1] == "scancel --quiet 20"


def test_nothing_under_way(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.forget()
    assert cancel([str(disk.root)]) == 0
    assert "is queued or running" in capsys.readouterr().out
    assert not [call for call in slurm.calls if call.startswith("scancel")]


def test_a_silent_slurm_is_no_success_story(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.command("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    assert cancel([str(disk.root)]) == 1
    assert "Unable to contact slurm controller" in capsys.readouterr().err


def test_a_process_of_this_host_is_told_to_stop(
    disk: Any, point: Any, sleeper: subprocess.Popen[bytes], capsys: Printed
):
    job = {"kind": "runs", "pid": sleeper.pid, "host": os.uname().nodename, "n_tasks": 1}
    jobs = [{**job, "first_task": task} for task in range(3)]
    disk.launch([(point, 0, 0)], {"launcher": "submitit_local"}, jobs)
    assert cancel([str(disk.root)]) == 0
    assert sleeper.wait(10) == -signal.SIGTERM
    assert capsys.readouterr().out.count("stopped process") == 1


def test_a_number_that_was_used_again_is_left_alone(
    disk: Any, point: Any, sleeper: subprocess.Popen[bytes], capsys: Printed
):
    folder = disk.launch([(point, 0, 0)], {"pid": sleeper.pid})
    os.utime(folder / "launch.json", (1, 1))
    assert cancel([str(disk.root)]) == 0
    assert sleeper.poll() is None
    assert "nothing of" in capsys.readouterr().out


def test_a_process_without_our_name_is_left_alone(disk: Any, point: Any, capsys: Printed):
    with subprocess.Popen(["sleep", "60"]) as process:
        disk.launch([(point, 0, 0)], {"pid": process.pid})
        assert cancel([str(disk.root)]) == 0
        assert process.poll() is None
        process.kill()
    assert "nothing of" in capsys.readouterr().out


def test_a_launch_of_another_host_is_named(disk: Any, point: Any, capsys: Printed):
    folder = disk.launch([(point, 0, 0)], {"host": "login2", "pid": 77})
    assert cancel([str(disk.root)]) == 0
    assert f"launch {folder.name} is on login2; if it still runs, there: kill 77" in capsys.readouterr().out
    disk.run(point, 0, "record.json")
    assert cancel([str(disk.root)]) == 0
    assert "login2" not in capsys.readouterr().out
