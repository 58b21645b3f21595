"""Sweeps on a real Slurm that are too long for CI, which does not collect this file.

scripts/slurm_demonstration runs them. Each prints what docs/slurm.md says of it.
"""

import os
import re
import resource
import signal
import time
from collections import Counter
from functools import partial

from .sweeps import PATIENCE, Sweep, wait_for

N_RUNS, PER_TASK = 300, 20
LONG = 3600.0  # seconds; on two cores that others use too


def test_300_runs_through_faults_leave_300_records(cluster, tmp_path):
    """Two launches at once; a task is killed, a node is taken away by preemption, another one dies."""
    sweep = Sweep(cluster, tmp_path)
    asked = sweep.command(
        *(f"seed=range({N_RUNS})", "site.partition=low", f"hydra.launcher.runs_per_job={PER_TASK}"),
        "hydra.launcher.array_parallelism=2",
    )
    began, kept = time.monotonic(), dict[str, bytes]()
    both = [sweep.start("run", *asked) for _ in range(2)]
    for process in both:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in both] == [0, 0]
    faults = {"killed": kill, "preempted": preempt, "node dead": take_down}
    for number, (name, fault) in enumerate(faults.items(), start=1):
        wait_for(partial(has_records, sweep, 60 * number), LONG, sweep.describe, pause=1.0)
        kept |= sweep.files()
        say(began, f"{n_records(sweep)} records; {name}: {fault(sweep)}")
    sweep.wait_until_over(LONG)
    after = sweep.status()
    say(began, str(dict(after)))
    for node in ("n1", "n2"):
        cluster("node", "start", node)
    if after["done"] < N_RUNS:
        sweep.retry()
    sweep.has_done(N_RUNS, kept)
    finishes = Counter(re.findall(r"^done .* seed=(\d+)", sweep.logs(), re.MULTILINE))
    assert n_records(sweep) == N_RUNS
    assert max(finishes.values()) == 1
    say(began, f"{N_RUNS} records; {len(kept)} files from before the faults are as they were")


def say(began, what):
    print(f"{time.monotonic() - began:.0f} s: {what}", flush=True)


def n_records(sweep):
    return sum(1 for _ in (sweep.tree / "runs").rglob("record.json"))


def has_records(sweep, n):
    return n_records(sweep) >= n


def at_work(sweep):
    """A task that runs, and its node."""
    rows = [
        row.split("|")
        for row in sweep.cluster.slurm("squeue", "-h", "-t", "R", "-p", "low", "-o", "%F_%K|%N").split()
    ]
    return next((task, node) for task, node in rows if sweep.processes(task))


def kill(sweep):
    task, node = at_work(sweep)
    for pid in sweep.processes(task):
        os.kill(pid, signal.SIGKILL)
    return f"task {task} on {node}"


def preempt(sweep):
    _, node = at_work(sweep)
    sweep.cluster.slurm(
        "sbatch", "-p", "cpu", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5"
    )
    return f"by an exclusive job on {node}"


def take_down(sweep):
    _, node = at_work(sweep)
    assert sweep.cluster("node", "down", node).returncode == 0
    return node


def test_2100_runs_are_submitted_in_seconds(cluster, tmp_path):
    sweep = Sweep(cluster, tmp_path)
    wait = "hydra.launcher.additional_parameters={begin: now+1hour}"
    sweep.launch("seed=0", wait)  # the cells are prepared, compiled files are there
    scales = ",".join(str(scale) for scale in range(1, 22))
    for per_task in (25, 1):
        slices = f"hydra.launcher.runs_per_job={per_task}"
        asked = ("model=scvi_mine", f"mine.scale={scales}", "seed=range(100)", wait, slices)
        before, began = cpu(), time.monotonic()
        process = sweep.start("run", *sweep.command(*asked))  # of its own, as only then its work is counted
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out + err
        print(
            f"{cpu() - before:.1f} s of CPU, {time.monotonic() - began:.1f} s",
            *out.splitlines()[-4:],
            sep="\n",
        )
        cancelled = sweep.bie("cancel", str(sweep.tree))
        assert cancelled.returncode == 0, cancelled.stderr
        wait_for(lambda: not cluster.slurm("squeue", "-h"), PATIENCE, sweep.describe)


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_no_seeds_are_added_to_what_is_decided(cluster, tmp_path):
    sweep = Sweep(cluster, tmp_path)
    wanted = ("model=scvi,noise", "seed=range(40)", "stop.verdict=true", "stop.metric=ari")
    how = ("hydra.launcher.runs_per_job=20", "hydra.launcher.array_parallelism=2")
    sweep.launch(*wanted, *how)
    sweep.wait_until_over(LONG)
    states = sweep.status()
    table = sweep.bie("status", str(sweep.tree)).stdout
    print(table)
    assert 10 < n_records(sweep) == states["done"] == states["expected"] < 80
    assert "stopped: zinb noise" in table
    assert "stopped: zinb scvi" in table
    again = sweep.launch(*wanted, *how)
    sweep.wait_until_over(LONG)
    assert n_records(sweep) == states["done"], again.stdout
