"""A task on a real Slurm has to stop before it is through: it goes on later and comes to the same numbers."""

from .fault_table import NOTHING, Fault
from .sweeps import PATIENCE, Sweep, wait_for


def science(sweep, seed):
    """What may not depend on interruptions: scores, and the loss of every epoch."""
    record = sweep.record(seed)
    history = (sweep.run_folder(seed) / "history.csv").read_bytes()
    return record["run_id"], record["metrics"], record["history_tail"], history


def test_a_preempted_task_goes_on_where_it_was(cluster, finished, faults, tmp_path):
    sweep = Sweep(cluster, tmp_path, *finished.overrides)
    sweep.hold()
    sweep.launch("seed=0", "site.partition=low")
    task = sweep.wait_for_claim(0)["slurm"]
    cluster.slurm("sbatch", "-p", "cpu", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    found = wait_for(
        lambda: "PENDING" in cluster.slurm("squeue", "-h", "-j", task, "-o", "%T"), 60, sweep.describe
    )
    sweep.let_go()
    sweep.wait_until_over()
    sweep.has_done(1)
    assert sweep.record(0)["timing"]["interruptions"] == 1
    assert sweep.record(0)["provenance"]["environment"]["SLURM_RESTART_COUNT"] == "1"
    assert science(sweep, 0) == science(finished, 0)
    faults.append(Fault("preemption", f"{found:.0f} s", NOTHING, "itself: requeued; the same numbers"))


def test_a_task_whose_time_is_over_goes_on_where_it_was(cluster, finished, faults, tmp_path):
    sweep = Sweep(cluster, tmp_path, *finished.overrides)
    sweep.hold()
    # warned after 30 to 90 seconds: Slurm may be a minute early; on a busy machine it may not have begun then
    sweep.launch("seed=0", "hydra.launcher.timeout_min=3", "hydra.launcher.signal_delay_s=90")
    wait_for(lambda: "stopped, with a checkpoint" in sweep.logs(), PATIENCE, sweep.describe)
    # more time from here on: on a busy machine a minute is little more than a start
    cluster.slurm("scontrol", "update", f"JobId={sweep.arrays()[0]['job_id']}", "TimeLimit=60")
    sweep.let_go()
    sweep.wait_until_over()
    sweep.has_done(1)
    record, logs = sweep.record(0), sweep.logs()
    assert record["timing"]["interruptions"] == logs.count("stopped, with a checkpoint") == 1
    restarts = int(record["provenance"]["environment"]["SLURM_RESTART_COUNT"])
    assert restarts == logs.count("goes back into the queue") >= 1  # even before it began
    assert science(sweep, 0) == science(finished, 0)
    faults.append(Fault("time limit", "by the warning", NOTHING, "itself: requeued; the same numbers"))
