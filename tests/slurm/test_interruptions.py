"""A task on a real Slurm has to stop before it is through: it goes on later and comes to the same numbers."""

import math

import pytest

from .fault_table import NOTHING, Fault
from .sweeps import Sweep, wait_for


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


@pytest.fixture(scope="module")
def reference(cluster, finished, tmp_path_factory):
    """A run done in one go, of 40 s: too long for a minute with a warning 20 to 50 s before its end."""
    pace = finished.record(0)["timing"]["fit_s"] / 200
    sweep = Sweep(cluster, tmp_path_factory.mktemp("reference"), f"train.epochs={math.ceil(40 / pace)}")
    sweep.launch("seed=5")
    return sweep


def test_a_task_whose_time_is_over_goes_on_where_it_was(cluster, reference, faults, tmp_path):
    sweep = Sweep(cluster, tmp_path, *reference.overrides)
    sweep.launch("seed=5", "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20")
    sweep.wait_until_over()
    reference.wait_until_over()
    sweep.has_done(1)
    record = sweep.record(5)
    assert record["timing"]["interruptions"] >= 1
    assert (
        int(record["provenance"]["environment"]["SLURM_RESTART_COUNT"]) == record["timing"]["interruptions"]
    )
    assert reference.record(5)["timing"].get("interruptions", 0) == 0
    assert science(sweep, 5) == science(reference, 5)
    faults.append(
        Fault(
            "time limit",
            "at the warning, 20 s before",
            NOTHING,
            "itself: requeued; the same numbers",
        )
    )
