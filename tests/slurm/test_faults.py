"""One task of a sweep on a real Slurm meets its end. What was finished stays as it was, byte by byte; bie
names the cause; one command brings the rest.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import time
from functools import partial

from .fault_table import AT_WORK, NOTHING, Fault
from .sweeps import PATIENCE, Sweep, fill, wait_for


def test_one_run_raises(sweep, faults):
    kept = sweep.files()
    sweep.launch("train.lr=0.001,1e9", "seed=0")
    assert sweep.wait_until_over() == {"done": 1, "running": 0, "queued": 0, "failed": 1, "expected": 2}
    assert sweep.bie("status", str(sweep.tree)).returncode == 1
    assert "nan  1 run: reconstruction is nan in epoch 1" in sweep.failures()
    assert "Traceback" in sweep.bie("logs", sweep.failed_run()).stdout
    sweep.retry("--cause", "nan")
    (failure,) = sweep.tree.glob("runs/*/*/*/*/failed.json")
    assert json.loads(failure.read_text())["attempt"] == 2
    assert sweep.files() == kept
    faults.append(
        Fault("a run raises (nan, by `train.lr=1e9`)", "at once", "that run", "`bie retry --cause nan`")
    )


def test_a_task_is_killed_and_another_cancelled(sweep, faults):
    sweep.hold()
    sweep.launch("seed=range(4)")
    killed, cancelled = (sweep.wait_for_claim(seed)["slurm"] for seed in (2, 3))
    began = time.monotonic()
    for pid in sweep.processes(killed):
        os.kill(pid, signal.SIGKILL)
    sweep.cluster.slurm("scancel", cancelled)
    for cause, name, lost in (
        ("killed", "kill -9 of a task", AT_WORK),
        ("cancelled", "scancel of one task", NOTHING),
    ):
        wait_for(partial(has_failure, sweep, f"{cause}  1 run"), PATIENCE, sweep.describe)
        faults.append(Fault(name, f"{time.monotonic() - began:.0f} s", lost, "`bie retry`"))
    assert sweep.wait_until_over()["done"] == 2
    sweep.let_go()
    kept = sweep.files()
    sweep.retry("hydra.launcher.runs_per_job=2")
    sweep.has_done(4, kept)
    assert "goes on after epoch" in sweep.logs()


def test_a_node_dies_and_the_next_one_reboots(sweep, faults):
    sweep.hold()
    sweep.launch("seed=range(3)")
    first = sweep.wait_for_claim(2)
    node = node_of(sweep, first["slurm"])
    began = time.monotonic()
    assert sweep.cluster("node", "down", node).returncode == 0
    try:
        sweep.wait_for_status(queued=1)
        found = time.monotonic() - began
        faults.append(
            Fault("a node dies", f"{found:.0f} s after Slurm did", AT_WORK, "itself: Slurm requeues the task")
        )
        wait_for(
            lambda: (sweep.claim(2) or first)["pid"] != first["pid"], PATIENCE, sweep.describe, pause=0.05
        )
        other = node_of(sweep, first["slurm"])
        assert other not in ("", node)
        assert sweep.cluster("node", "crash", other).returncode == 0
        assert sweep.cluster("node", "start", other).returncode == 0
        found = wait_for(lambda: "restart 2, " in sweep.logs(), PATIENCE, sweep.describe)
        sweep.let_go()
        sweep.wait_until_over()
    finally:
        sweep.cluster("node", "start", node)
    assert sweep.record(2)["provenance"]["environment"]["SLURM_RESTART_COUNT"] == "2"
    assert sweep.record(2)["provenance"]["environment"]["SLURM_JOB_NODELIST"] == other
    sweep.has_done(3)
    faults.append(Fault("a node reboots", f"{found:.0f} s", AT_WORK, "itself: Slurm requeues the task"))


def node_of(sweep, task):
    """Where Slurm says that a task runs; empty where it does not."""
    return sweep.cluster.slurm("squeue", "-h", "-j", task, "-o", "%N").strip()


def test_the_disk_is_full_then_has_no_file_left_then_is_read_only(sweep, small_disk, read_only, faults):
    """One after the other, each under a launch of its own; one retry mends what all three have cost."""
    disk, runs = small_disk(sweep.folder / "outputs", mib=16, files=1200), sweep.tree / "runs"
    sweep.hold()
    sweep.launch("seed=range(3)")
    sweep.wait_for_claim(2)
    began = time.monotonic()
    fill(disk / "filler")
    sweep.let_go()
    sweep.wait_until_over()
    sweep.wait_for_status(failed=1)
    found = time.monotonic() - began
    kept = sweep.files()
    assert len(kept) == 4
    assert disk_failures(sweep) == 1
    (disk / "filler").unlink()

    sweep.hold()
    sweep.launch("seed=3")
    sweep.wait_for_claim(3)
    (disk / "fillers").mkdir()
    with contextlib.suppress(OSError):
        for i in range(1200):
            (disk / "fillers" / str(i)).touch()
    sweep.let_go()
    sweep.wait_until_over()
    sweep.wait_for_status(failed=2)
    assert disk_failures(sweep) == 2
    shutil.rmtree(disk / "fillers")

    sweep.hold()
    sweep.launch("seed=4")
    sweep.wait_for_claim(4)
    thaw = read_only(runs)
    sweep.let_go()
    sweep.wait_until_over()
    sweep.wait_for_status(failed=3)
    assert disk_failures(sweep) == 3
    thaw()

    assert sweep.files() == kept
    sweep.retry("--cause", "disk", "hydra.launcher.runs_per_job=3")
    sweep.has_done(5, kept)
    faults += [
        Fault(
            "disk full while a record is written", f"{found:.0f} s", "that run", "`bie retry`, with room made"
        ),
        Fault("quota of files used up", "at its end", "that run", "`bie retry`, with room"),
        Fault("the tree becomes read-only", "at its end", "that run", "`bie retry`, later"),
    ]


def disk_failures(sweep):
    """Runs of whose failures the disk is said to be the cause."""
    return sum(map(int, re.findall(r"^disk  (\d+) run", sweep.failures(), re.MULTILINE)))


def test_a_task_meets_its_memory_limit(strict_cluster, finished, faults, tmp_path):
    sweep = Sweep(strict_cluster, tmp_path, *finished.overrides)
    sweep.launch("seed=0", "site.mem_gb=0.3")
    began = time.monotonic()
    sweep.wait_for_status(failed=1)
    found = time.monotonic() - began
    assert "oom  1 run" in sweep.failures()
    sweep.retry("site.mem_gb=8")
    sweep.has_done(1)
    faults.append(
        Fault("a task meets its memory limit", f"{found:.0f} s", AT_WORK, "`bie retry site.mem_gb=8`")
    )


def has_failure(sweep, line):
    return line in sweep.failures()
