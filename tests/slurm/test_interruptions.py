"""A task on a real Slurm has to stop before it is through: it goes on later and comes to the same numbers."""

import math

from .fault_table import NOTHING, Fault
from .sweeps import PATIENCE, Sweep, wait_for


def science(sweep, seed):
    """What may not depend on interruptions: scores, and the loss of every epoch."""
    record = sweep.record(seed)
    history = (sweep.run_folder(seed) / "history.csv").read_bytes()
    return record["run_id"], record["metrics"], record["history_tail"], history


def test_a_preempted_task_goes_on_where_it_was(cluster, finished, faults, tmp_path):
    sweep = Sweep(cluster, tmp_path, *finished.overrides)
    sweep.launch("seed=0", "site.partition=low")
    task = sweep.wait_for_claim(0)["slurm"]
    cluster.slurm("sbatch", "-p", "cpu", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    found = wait_for(
        lambda: "PENDING" in cluster.slurm("squeue", "-h", "-j", task, "-o", "%T"), 60, sweep.describe
    )
    sweep.wait_until_over()
    sweep.has_done(1)
    assert sweep.record(0)["timing"]["interruptions"] == 1
    assert sweep.record(0)["provenance"]["environment"]["SLURM_RESTART_COUNT"] == "1"
    assert science(sweep, 0) == science(finished, 0)
    faults.append(Fault("preemption", f"{found:.0f} s", NOTHING, "itself: requeued; the same numbers"))


def test_a_task_whose_time_is_over_goes_on_where_it_was(cluster, finished, faults, tmp_path):
    pace = min(finished.record(seed)["timing"]["fit_s"] for seed in (0, 1)) / 200
    for seconds in (40, 160):  # the machine may be faster now than when it was measured
        limited = one_run(cluster, math.ceil(seconds / pace), tmp_path / str(seconds), *LIMITED)
        if is_stopped(limited):
            break
    # more time from here on: on a busy machine half a minute is little more than a start
    cluster.slurm("scontrol", "update", f"JobId={limited.arrays()[0]['job_id']}", "TimeLimit=60")
    free = one_run(cluster, math.ceil(seconds / pace), tmp_path / "free")
    for sweep in (limited, free):
        sweep.wait_until_over(2 * PATIENCE)
        sweep.has_done(1)
    record, logs = limited.record(5), limited.logs()
    restarts = int(record["provenance"]["environment"]["SLURM_RESTART_COUNT"])
    assert record["timing"]["interruptions"] == logs.count(STOPPED) >= 1
    assert restarts == logs.count("goes back into the queue")  # even of one that had not begun
    assert free.record(5)["timing"]["interruptions"] == 0
    assert science(limited, 5) == science(free, 5)
    faults.append(Fault("time limit", "by the warning", NOTHING, "itself: requeued; the same numbers"))


STOPPED = "stopped, with a checkpoint"
LIMITED = ("hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=90")  # warned after half a minute


def is_stopped(sweep):
    """Whether its time is over before it is through; as soon as that is known."""
    wait_for(lambda: STOPPED in sweep.logs() or sweep.is_over(), PATIENCE, sweep.describe)
    return STOPPED in sweep.logs()


def one_run(cluster, epochs, folder, *typed):
    """A sweep of one run, which has been submitted."""
    folder.mkdir()
    sweep = Sweep(cluster, folder, f"train.epochs={epochs}")
    sweep.launch("seed=5", *typed)
    return sweep
