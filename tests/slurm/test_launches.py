"""Launches on a real Slurm: two at once, larger than an array, without accounting, with edits meanwhile."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter

from .fault_table import AT_WORK, Fault
from .sweeps import PATIENCE, SOURCE, Sweep, copy_finished, wait_for


def test_two_launches_of_one_sweep_do_no_run_twice(sweep, faults):
    both = [sweep.start("run", *sweep.command("seed=range(3)")) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    sweep.wait_until_over()
    assert len(sweep.arrays()) == 2
    finishes = Counter(re.findall(r"^done .* seed=(\d+)", sweep.logs(), re.MULTILINE))
    assert finishes == {"2": 1}
    sweep.has_done(3)
    for process in both:
        process.communicate()
    faults.append(
        Fault("the same sweep launched twice", "-", "nothing, and no run is done twice", "needs nothing")
    )


def test_a_canary_with_a_control_among_its_models(cluster, faults, tmp_path):
    sweep = Sweep(cluster, tmp_path, "train.epochs=5")
    sweep.launch("model=pca,scvi", "seed=0", "hydra.launcher.canary=true", "hydra.launcher.runs_per_job=2")
    assert [job["kind"] for job in sweep.arrays()] == ["canary", "runs"]
    sweep.wait_until_over()
    sweep.has_done(2)
    faults.append(Fault("a canary, with a control among the models", "-", "nothing", "needs nothing"))


def test_seeds_stop_where_the_study_asks_for_it(cluster, tmp_path):
    sweep = Sweep(cluster, tmp_path)
    rule = ("study.baseline=noise", "stop.verdict=true", "stop.metric=ari")
    slices = ("hydra.launcher.runs_per_job=8", "hydra.launcher.array_parallelism=1")
    sweep.launch("model=noise,labels_only", "seed=range(8)", *rule, *slices)
    sweep.wait_until_over()
    after = sweep.status()
    assert 6 <= after["done"] < 16, sweep.describe()
    assert after["failed"] == after["queued"] == after["running"] == 0
    shown = sweep.bie("status", str(sweep.tree))
    assert shown.returncode == 0
    (said,) = re.findall(r"^stopped: zinb labels_only: better after (\d+) pairs, ari \+", shown.stdout, re.M)
    assert 3 <= int(said) <= after["done"] // 2
    kept = sweep.files()
    sweep.launch("model=noise,labels_only", "seed=range(8)", *rule, *slices)
    sweep.wait_until_over()
    assert sweep.files() == kept


def test_a_sweep_larger_than_an_array_and_a_killed_task_of_it_without_accounting(
    small_cluster, finished, faults, tmp_path
):
    sweep = Sweep(small_cluster, tmp_path, *finished.overrides)
    copy_finished(finished, sweep)
    sweep.hold()
    sweep.launch("seed=range(5)")
    assert [job["n_tasks"] for job in sweep.arrays()] == [2, 1]
    assert [job["first_task"] for job in sweep.arrays()] == [0, 2]
    faults.append(
        Fault("MaxArraySize below the number of tasks", "at launch", "nothing", "needs nothing: waves")
    )
    task = sweep.wait_for_claim(2)["slurm"]
    began = time.monotonic()
    for pid in sweep.processes(task, "submitit.core._submit"):
        os.kill(pid, signal.SIGKILL)
    sweep.wait_for_status(failed=1)
    sweep.let_go()
    found = time.monotonic() - began
    assert sweep.wait_until_over() == {"done": 4, "running": 0, "queued": 0, "failed": 1, "expected": 5}
    wait_for(lambda: not knows(small_cluster, task), 60, sweep.describe)
    assert sweep.status()["failed"] == 1
    assert "killed  1 run" in sweep.failures()
    kept = sweep.files()
    sweep.retry()
    sweep.has_done(5, kept)
    faults.append(Fault("kill -9 without accounting", f"{found:.0f} s", AT_WORK, "`bie retry`"))


def knows(cluster, task):
    with contextlib.suppress(subprocess.CalledProcessError):
        return "JobId" in cluster.slurm("scontrol", "show", "job", task)
    return False


def test_edits_while_jobs_wait_and_the_end_of_the_launching_command_change_nothing(sweep, finished, faults):
    checkout = sweep.folder / "checkout"
    for name in ("src", "conf"):
        shutil.copytree(SOURCE.parent / name, checkout / name)
    for lock in SOURCE.parent.glob("requirements*.lock"):
        shutil.copy(lock, checkout)
    blocker = sweep.cluster.slurm(
        "sbatch", "--parsable", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 600"
    ).strip()
    launching = sweep.start_from(checkout / "src", "seed=range(3)", "hydra.launcher.wait=true")
    wait_for(lambda: bool(sweep.arrays()) or launching.poll() is not None, PATIENCE, sweep.describe)
    launching.kill()
    out, err = launching.communicate()
    assert launching.returncode == -signal.SIGKILL, out + err
    (checkout / "src/bie/experiment.py").write_text("raise SystemExit('edited')\n")
    (checkout / "conf/train/full.yaml").write_text("epochs: 1\n")
    shutil.rmtree(checkout / "src/bie/launching")
    sweep.cluster.slurm("scancel", blocker)
    sweep.wait_until_over()
    sweep.has_done(3)
    assert sweep.record(2)["config"] == finished.record(0)["config"] | {"seed": 2}
    assert sweep.record(2)["provenance"]["source_sha256"] == finished.record(0)["provenance"]["source_sha256"]
    assert "3 were done before" in sweep.launch("seed=range(3)").stdout
    faults += [
        Fault(
            "code and configuration edited, jobs waiting", "-", "nothing", "needs nothing: they are frozen"
        ),
        Fault("the launching command is killed", "-", "nothing", "needs nothing: the jobs go on"),
    ]
