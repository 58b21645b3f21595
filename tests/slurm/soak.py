"""Short runs on a real Slurm through faults drawn at random: each ends in one record, that of a calm machine.

CI does not collect this file; scripts/soak runs it, and docs/slurm.md says what came of it.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from functools import partial

from .sweeps import Sweep, fill

RUNS, MINUTES, SEED, PAUSE = (
    int(os.environ.get(f"BIE_SOAK_{name}", default))
    for name, default in (("RUNS", 150), ("MINUTES", 4), ("SEED", 0), ("PAUSE", 15))
)
PER_TASK, NODES = max(12, min(RUNS // 100, 50)), ("n1", "n2")
BETWEEN = (PAUSE / 3, PAUSE * 5 / 3)  # seconds from one fault to the next
CELLS = "dataset.n_cells=150"  # what is short about these runs
RETRIES = 20  # when all is calm again
LONG = 7200.0  # seconds; two cores that others use too
SAME = ("run_id", "config_id", "split_id", "metrics", "missing", "notes", "history_tail")


def test_every_run_ends_in_one_record_and_equals_an_undisturbed_one(cluster, tmp_path, small_disk):
    calm, sweep = (Sweep(cluster, tmp_path / name, CELLS) for name in ("calm", "soak"))
    for each in (calm, sweep):
        (each.folder / "outputs").mkdir(parents=True)
    undisturbed = calm.bie("run", "-m", *calm.overrides, "device=cpu", f"seed=range({RUNS})")
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = {path: said(calm, path) for path in records(calm)}

    disk = small_disk(sweep.folder / "outputs", mib=64 + RUNS // 10)
    how = (f"hydra.launcher.runs_per_job={min(PER_TASK, RUNS)}", "hydra.launcher.array_parallelism=4")
    sweep.launch(f"seed=range({RUNS})", "site.partition=low", *how)
    began, first_seen = time.monotonic(), dict[str, str]()
    faults, retries = disturb(sweep, disk, first_seen)
    minutes, through_faults = (time.monotonic() - began) / 60, len(first_seen)
    for node in NODES:
        cluster("node", "start", node)
    while sweep.wait_until_over(LONG)["done"] < RUNS and retries["at the end"] < RETRIES:
        retries["at the end"] += 1
        sweep.bie("retry", str(sweep.tree))
    sweep.has_done(RUNS)
    found = {path: said(sweep, path) for path in records(sweep)}
    assert found == expected
    changed = [path for path, was in first_seen.items() if digest(sweep, path) != was]
    assert changed == []
    assert not list((sweep.tree / "runs").rglob("failed.json"))
    print(f"\n{RUNS} runs, {sum(faults.values())} faults in {minutes:.1f} min (seed {SEED}): {dict(faults)}")
    print(f"records after these minutes: {through_faults}; bie retry: {dict(retries)}")
    print(
        f"records in the end: {len(found)}, each equal to the undisturbed one, none changed since it was seen"
    )
    print(f"{time.monotonic() - began:.0f} s in all")


def disturb(sweep, disk, first_seen):
    """Do harm for some minutes, or until all is done; what was done, and how often a user had to step in."""
    rng, end = random.Random(SEED), time.monotonic() + 60 * MINUTES
    done, retries = Counter[str](), Counter[str]()
    while time.monotonic() < end and len(first_seen) < RUNS:
        time.sleep(rng.uniform(*BETWEEN))
        fault = rng.choice((kill, cancel, requeue, preempt, crash, partial(fill_disk, disk=disk)))
        task, node = rng.choice(at_work(sweep) or [("", "")])
        with suppress(subprocess.CalledProcessError):  # there is no such task any more
            if task:
                fault(sweep, task, node)
                done[getattr(fault, "__name__", "fill_disk")] += 1
        for path in records(sweep):
            first_seen.setdefault(path, digest(sweep, path))
        if not sweep.cluster.slurm("squeue", "-h"):
            retries["meanwhile"] += 1
            sweep.bie("retry", str(sweep.tree))
    return done, retries


def at_work(sweep):
    """Tasks that run, and their nodes."""
    rows = sweep.cluster.slurm("squeue", "-h", "-t", "R", "-p", "low", "-o", "%F_%K|%N").split()
    return [tuple(row.replace("_N/A", "").split("|")) for row in rows]


def kill(sweep, task, node):
    for pid in sweep.processes(task):
        os.kill(pid, signal.SIGKILL)


def cancel(sweep, task, node):
    sweep.cluster.slurm("scancel", task)


def requeue(sweep, task, node):
    sweep.cluster.slurm("scontrol", "requeue", task)


def preempt(sweep, task, node):
    """By a job of a partition that comes first."""
    sweep.cluster.slurm(
        "sbatch", "-p", "cpu", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"
    )


def crash(sweep, task, node):
    """A node that loses its power, and boots."""
    for what in ("crash", "start"):
        done = sweep.cluster("node", what, node)
        assert done.returncode == 0, done.stderr


def fill_disk(sweep, task, node, disk):
    """For some seconds nothing more can be written."""
    fill(disk / "filler")
    time.sleep(5)
    (disk / "filler").unlink()


def records(sweep):
    """Paths of the records there are, from the folder of the sweep."""
    return sorted(str(path.relative_to(sweep.folder)) for path in (sweep.tree / "runs").rglob("record.json"))


def digest(sweep, path):
    """Of the bytes of a record."""
    return hashlib.sha256((sweep.folder / path).read_bytes()).hexdigest()


def said(sweep, path):
    """What a record says of its run, but for times and machine."""
    record = json.loads((sweep.folder / path).read_text())
    return {name: record[name] for name in SAME}
