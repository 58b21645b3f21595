"""Launches with a pretended sbatch that takes everything, or not."""

import json
import os
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

from bie.plan import main as plan
from bie.run import main as run
from bie.store.launches import jobs, planned_tasks

SBATCH = """\
#!/bin/bash
cd "$(dirname "$0")"
n=$(($(cat count 2>/dev/null || echo 100) + 1))
if [ $n -gt ${LAST:-1000} ]; then echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; fi
echo $n >count
cat "$1" >script-$n
env | grep -E '^(SLURM|SBATCH|SUBMITIT)_' >environment-$n
echo "Submitted batch job $n"
"""
SCONTROL = "#!/bin/bash\nprintf 'MaxArraySize = 3\\nMaxJobCount = 50\\n'\n"
SILENT = "#!/bin/bash\n"
SLURM = ("-m", "hydra/launcher=submitit_slurm", "dataset.size=smoke", "train=smoke")


@pytest.fixture
def slurm(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = in_tmp / "bin"
    folder.mkdir()
    commands = {
        "sbatch": SBATCH,
        "scontrol": SCONTROL,
        "squeue": SILENT,
        "sacctmgr": SILENT,
        "scancel": SILENT,
        "srun": SILENT,
    }
    for name, text in commands.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def scripts(slurm: Path) -> list[list[str]]:
    """Lines of what was submitted."""
    return [path.read_text().splitlines() for path in sorted(slurm.glob("script-*"))]


def options(script: list[str]) -> dict[str, str]:
    given = (line.removeprefix("#SBATCH --") for line in script if line.startswith("#SBATCH --"))
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def the_launch() -> Path:
    (folder,) = Path("outputs/v1/adhoc/launches").iterdir()
    return folder.resolve()


def test_waves_wait_for_one_another_and_share_one_throttle(slurm: Path, capsys: pytest.CaptureFixture[str]):
    typed = ("seed=range(15)", "hydra.launcher.runs_per_job=2", "hydra.launcher.array_parallelism=2")
    assert run([*SLURM, *typed, "hydra.launcher.dependency=afterok:7"]) == 0
    said = capsys.readouterr().out
    assert "15 runs; 8 tasks of 2 runs each in 3 waves (MaxArraySize 3), 2 at a time" in said
    assert "submitted job 101_[0-2], job 102_[0-2], job 103_[0-1]." in said
    arrays = [options(script) for script in scripts(slurm)]
    assert [array["array"] for array in arrays] == ["0-2%2", "0-2%2", "0-1%2"]
    assert [array["dependency"] for array in arrays] == ["afterok:7", "afterany:101", "afterany:102"]
    assert "task=$((6 + ${SLURM_ARRAY_TASK_ID:-0}))" in scripts(slurm)[2]
    launch = the_launch()
    assert [(job["job_id"], job["first_task"], job["n_tasks"]) for job in jobs(launch)] == [
        ("101", 0, 3),
        ("102", 3, 3),
        ("103", 6, 2),
    ]
    assert [task for _, _, task in planned_tasks(launch)] == [i // 2 for i in range(15)]
    facts = json.loads((launch / "launch.json").read_text())
    assert facts["launcher"] == "submitit_slurm"
    assert facts["settings"]["hydra"]["launcher"]["runs_per_job"] == 2


def test_a_canary_gates_every_wave(slurm: Path):
    typed = (
        "seed=range(4)",
        "model=scvi,scvi_mine",
        "hydra.launcher.runs_per_job=2",
        "hydra.launcher.canary=true",
    )
    assert run([*SLURM, *typed]) == 0
    canary, first, second = (options(script) for script in scripts(slurm))
    assert "ended=$folder/ended/canary-$task" in scripts(slurm)[0]
    assert canary["array"] == "0-1%2"
    assert (first["dependency"], first["kill-on-invalid-dep"]) == ("afterok:101", "yes")
    assert second["dependency"] == "afterok:101,afterany:102"
    assert "array" not in second, "a single task is a plain job"


def test_each_task_is_a_pickle_of_submitits(slurm: Path):
    assert run([*SLURM, "seed=range(4)", "hydra.launcher.runs_per_job=2"]) == 0
    launch = the_launch()
    found = DelayedSubmission.load(launch / "submitit" / "101_1_submitted.pkl").function
    assert vars(found) == {"folder": launch, "kind": "runs", "index": 1}
    assert jobs(launch)[0]["log"] == str(launch / "submitit" / "%j_%t_log.out")


def test_submitits_files_go_where_the_user_says(slurm: Path, in_tmp: Path):
    folder = f"hydra.launcher.submitit_folder='{in_tmp}/mine/%j'"
    assert run([*SLURM, "seed=0", folder]) == 0
    assert (in_tmp / "mine" / "101" / "101_submitted.pkl").is_file()


def test_a_launch_from_inside_a_job_does_not_hand_that_jobs_settings_on(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    monkeypatch.setenv("SBATCH_PARTITION", "wrong")
    assert run([*SLURM, "seed=0"]) == 0
    assert (slurm / "environment-101").read_text() == "SLURM_CONF=/etc/slurm/slurm.conf\n"
    assert os.environ["SLURM_MEM_PER_CPU"] == "1"


def test_nothing_taken_leaves_nothing_behind(slurm: Path, capfd: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("LAST", "0")
    assert run([*SLURM, "seed=0"]) == 2
    assert "Slurm did not take the job: sbatch: error: QOSMaxSubmitJobPerUserLimit" in capfd.readouterr().err
    assert not list(Path("outputs/v1/adhoc/launches").iterdir())


def test_some_waves_taken_is_said_and_kept(slurm: Path, capfd: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("LAST", "101")
    assert run([*SLURM, "seed=range(5)", "hydra.launcher.runs_per_job=1"]) == 1
    captured = capfd.readouterr()
    assert "Slurm took no more" in captured.err
    assert "submitted job 101_[0-2]." in captured.out
    assert len(jobs(the_launch())) == 1


def test_a_plan_counts_tasks_and_waves(slurm: Path, capsys: pytest.CaptureFixture[str]):
    typed = [*SLURM[1:], "seed=range(8)", "hydra.launcher.runs_per_job=2"]
    assert plan([*typed, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["todo"], told["jobs"], told["waves"]) == (8, 4, 2)
    assert plan(typed) == 0
    assert "8 runs; 4 tasks of 2 runs each in 2 waves" in capsys.readouterr().out
    assert plan([*typed, "seed=range(200)"]) == 2
    assert "smallest value that fits is 4" in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_without_slurm_a_launch_is_bad_input(in_tmp: Path, monkeypatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setenv("PATH", str(in_tmp))
    assert run([*SLURM, "seed=0"]) == 2
    assert "sbatch is not on this machine" in capfd.readouterr().err
