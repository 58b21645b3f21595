"""`slurm/local_cluster` on this machine: it starts, again and side by side, loses nodes, leaves nothing."""

import time
from collections.abc import Callable
from pathlib import Path

from .clusters import LocalCluster, start


def wait_for(done: Callable[[], bool], patience_s: float = 30) -> None:
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_job_sees_its_array_index_and_its_gpu(cluster, tmp_path):
    script = 'echo "$SLURM_ARRAY_TASK_ID $(echo $CUDA_VISIBLE_DEVICES | wc -w)"'
    cluster.slurm(
        *("sbatch", "--wait", "--array=0-1", "--gres=gpu:1", "-p", "gpu"),
        *("-o", str(tmp_path / "%a"), "--wrap", script),
    )
    visible = int(
        (cluster.folder / "gpu/nvidia0").is_char_device()
    )  # else whoever started it cannot make devices
    assert [(tmp_path / str(i)).read_text() for i in range(2)] == [f"{i} {visible}\n" for i in range(2)]


def test_starting_again_leaves_it_as_it_is(cluster):
    before = cluster("status").stdout
    assert cluster("start").returncode == 0
    assert cluster("status").stdout == before


def test_other_settings_are_refused_while_it_runs(cluster):
    again = cluster("start", "--nodes", "7")
    assert again.returncode == 1
    assert "stop it before you choose anew" in again.stderr


def test_the_second_cluster_is_another_one(cluster, small_cluster):
    assert cluster.slurm("sinfo", "-h", "-N", "-p", "cpu", "-o", "%N").split() == ["n1", "n2"]
    assert small_cluster.slurm("sinfo", "-h", "-N", "-p", "cpu", "-o", "%N").split() == ["n1"]
    assert "MaxArraySize            = 2" in small_cluster.slurm("scontrol", "show", "config")


def test_a_node_goes_down_with_its_jobs_and_comes_back(cluster, tmp_path):
    note = tmp_path / "pid"
    cluster.slurm(
        "sbatch", "-w", "n2", "--no-requeue", "-o", "/dev/null", "--wrap", f"echo $$ > {note}; sleep 600"
    )
    wait_for(lambda: note.exists() and bool(note.read_text()))
    assert cluster("node", "down", "n2").returncode == 0
    assert not is_alive(int(note.read_text()))
    assert cluster("status").returncode == 1
    assert cluster("node", "start", "n2").returncode == 0
    assert cluster.slurm("sinfo", "-h", "-n", "n2", "-p", "cpu", "-o", "%t").strip() == "idle"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_stopping_ends_the_jobs_and_wipes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm") / "state"
    cluster: LocalCluster = start(folder, "--nodes=1", "--accounting=none")
    note = folder.parent / "pid"
    cluster.slurm("sbatch", "-o", "/dev/null", "--wrap", f"echo $$ > {note}; sleep 600")
    wait_for(lambda: note.exists() and bool(note.read_text()))
    assert cluster("stop", "--wipe").returncode == 0
    assert not is_alive(int(note.read_text()))
    assert not folder.exists()
    assert cluster("stop").returncode == 0
