"""A sweep on a real Slurm to which nothing happens."""

import json


def test_all_runs_are_done_by_tasks_of_one_array(finished):
    assert finished.status() == {"done": 2, "running": 0, "queued": 0, "failed": 0, "expected": 2}
    assert finished.bie("status").returncode == 0
    (array,) = finished.arrays()
    assert array["n_tasks"] == 2
    found = [finished.record(seed)["provenance"]["slurm"] for seed in (0, 1)]
    assert [ids["SLURM_ARRAY_JOB_ID"] for ids in found] == [array["job_id"]] * 2
    assert [ids["SLURM_ARRAY_TASK_ID"] for ids in found] == ["0", "1"]


def test_each_task_had_a_gpu_of_its_own(finished, cluster):
    places = [finished.record(seed)["provenance"]["environment"] for seed in (0, 1)]
    assert {place["SLURM_JOB_PARTITION"] for place in places} == {"gpu"}
    if (cluster.folder / "gpu/nvidia0").is_char_device():
        assert all(len(place["CUDA_VISIBLE_DEVICES"].split(",")) == 1 for place in places)
        assert len({(place["SLURM_JOB_NODELIST"], place["CUDA_VISIBLE_DEVICES"]) for place in places}) == 2


def test_the_record_names_the_commit_that_was_launched(finished):
    launched = json.loads((next((finished.tree / "launches").iterdir()) / "launch.json").read_text())
    assert launched["launcher"] == "submitit_slurm"
    assert finished.record(0)["provenance"]["git_commit"]


def test_the_same_command_again_submits_nothing(finished):
    before = finished.files()
    again = finished.launch("seed=0,1")
    assert "2 were done before" in again.stdout
    assert len(finished.arrays()) == 1
    assert finished.files() == before


def test_the_table_is_made_of_it(finished):
    done = finished.bie("aggregate", str(finished.tree))
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout
