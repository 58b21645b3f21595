"""One thing goes wrong in a sweep on a real Slurm. What was finished stays as it was, byte by byte; bie names
the cause; one command brings the rest.
"""

import os
import signal
import time

from .fault_table import Fault
from .sweeps import processes_of, wait_for


def test_one_run_raises(sweep, faults):
    before = sweep.files()
    sweep.launch("train.lr=0.001,1e9", "seed=0")
    assert sweep.wait_until_over() == {"done": 1, "running": 0, "queued": 0, "failed": 1, "expected": 2}
    assert sweep.files() == before
    assert "nan" in sweep.failures()
    assert sweep.bie("status").returncode == 1
    sweep.retry("--cause", "nan")
    assert "attempt 2" in sweep.failures() or sweep.attempts() == [2]
    faults.append(
        Fault("a run raises, here nan at lr=1e9", "at once", "that run", "`bie retry --cause nan`, once mended")
    )


def test_a_task_is_killed(sweep, faults):
    before = sweep.files()
    sweep.launch("seed=range(4)")
    task = sweep.wait_for_claim(2)["slurm"]
    began = time.monotonic()
    for pid in processes_of(task):
        os.kill(pid, signal.SIGKILL)
    sweep.wait_for_status(failed=1)
    found = time.monotonic() - began
    sweep.wait_until_over()
    assert sweep.status()["done"] == 3
    assert "killed" in sweep.failures()
    assert before.items() <= sweep.files().items()
    survivors = sweep.files()
    sweep.retry()
    assert sweep.status()["done"] == 4
    assert survivors.items() <= sweep.files().items()
    faults.append(Fault("kill -9 of a task", f"{found:.0f} s", "the run at work", "`bie retry`"))
