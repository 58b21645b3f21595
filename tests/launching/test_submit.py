"""Launches with a pretended sbatch that takes everything, or not; the shell around submitit's command."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission
from submitit.slurm.slurm import _make_sbatch_string

from bie.config import Settings, SubmititSlurm
from bie.launching import submit as hooks
from bie.plan import main as plan
from bie.planning.compose import Configurations
from bie.planning.expand import expand
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
    said = "Slurm did not take the job: sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
    assert capfd.readouterr().err == said
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


@pytest.fixture
def script(configurations: Configurations):
    """Text of a batch script as submitit makes it of the hooks."""

    def make(folder: Path, *typed: str) -> str:
        settings: Settings = expand(["hydra/launcher=submitit_slurm", *typed], configurations).settings
        launcher = settings.hydra.launcher
        assert isinstance(launcher, SubmititSlurm)
        return _make_sbatch_string(
            f"{hooks.python(launcher, settings.site)} -m job",
            folder,
            setup=hooks.setup(launcher, settings.site, folder, "runs", 7),
            teardown=hooks.teardown(launcher),
            use_srun=False,
        )

    return make


def test_the_text_quotes_what_it_holds(script):
    text = script(
        Path("/data/my runs/launch"),
        "site.modules=[Python/3.11]",
        "site.environment={SCRATCH: '/scratch/$USER'}",
        "site.environment.NOTE='say \"hi\"'",
        "hydra.launcher.setup=[ulimit -c 0]",
        "hydra.launcher.teardown=[echo bye]",
    )
    assert "folder='/data/my runs/launch'\n" in text
    assert (
        'module load Python/3.11\nexport SCRATCH="/scratch/$USER"\nexport NOTE="say \\"hi\\""\nulimit -c 0\n'
        in text
    )
    assert text.endswith("echo bye\nexit $code")
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_a_site_can_name_the_python_of_a_container(script):
    """It unpacks the frozen source and starts the task; the launcher's own key wins."""
    text = script(Path("/data/launch"), "site.python=/project/my image/python")
    assert "\nsupervised '/project/my image/python' -m job" in text
    assert "\n'/project/my image/python' -I -m zipfile" in text
    assert sys.executable not in text
    typed = script(Path("/data/launch"), "site.python=/one", "hydra.launcher.python=/other")
    assert "supervised /other -m job" in typed


# ---- the shell


@pytest.fixture
def launch(tmp_path: Path, script, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launch folder whose frozen source is a job that does what the test says."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "job.sh").write_text(script(tmp_path, f"hydra.launcher.python={sys.executable}"))
    return tmp_path


def start(launch: Path, body: str) -> "subprocess.Popen[str]":
    with zipfile.ZipFile(launch / "source.zip", "w") as archive:
        archive.writestr("src/job.py", f"import os, signal, sys, time\nfrom pathlib import Path\n{body}")
    command = ["bash", str(launch / "job.sh")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def ended(launch: Path) -> dict:
    assert list((launch / "tmp").iterdir()) == [], "the unpacked source was left behind"
    told: dict = json.loads((launch / "ended" / "7").read_text())
    return told


@pytest.mark.parametrize("code", [0, 1, 124])
def test_the_exit_code_is_noted_and_is_the_jobs(launch: Path, code: int):
    process = start(launch, f"sys.exit({code})")
    process.communicate(timeout=60)
    assert process.returncode == code
    assert ended(launch) == {"code": code}


def test_a_killed_python_is_noted(launch: Path):
    start(launch, "os.kill(os.getpid(), signal.SIGKILL)").communicate(timeout=60)
    assert ended(launch) == {"code": 137}


def test_what_python_noted_itself_stays(launch: Path):
    note = launch / "ended" / "7"
    body = f"Path({str(note)!r}).write_text('{{\"code\": 75}}'); sys.exit(255)"
    note.parent.mkdir()
    note.write_text("of an earlier incarnation")
    start(launch, body).communicate(timeout=60)
    assert ended(launch) == {"code": 75}


@pytest.mark.parametrize(
    ("squeue", "code", "requeued"),
    [("echo RUNNING", 75, True), ("echo COMPLETING", 143, False), ("", 143, False), ("exit 1", 75, True)],
)
def test_what_is_left_goes_back_unless_it_was_cancelled(
    slurm: Path, launch: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, code: int, requeued: bool
):
    """Python notes 75 and ends, wherever it is; only a Slurm that does not answer is not taken for a no."""
    (slurm / "squeue").write_text(f"#!/bin/bash\n{squeue}\n")
    (slurm / "scontrol").write_text(f'#!/bin/bash\necho "$@" >>{slurm}/typed\n')
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "81")  # which alone would mean all tasks of the array
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "81")
    note = launch / "ended" / "7"
    body = f"note = Path({str(note)!r}); note.write_text('{{\"code\": 75}}'); sys.exit(75)"
    process = start(launch, body)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert ended(launch) == {"code": code}
    assert (slurm / "typed").exists() == requeued
    assert not requeued or (slurm / "typed").read_text() == "requeue 81_0\n"


LISTENS = """
warnings = []
signal.signal(signal.SIGUSR2, lambda *_: warnings.append(5))
signal.signal(signal.SIGTERM, lambda *_: warnings.append(6))
print("ready", flush=True)
while not warnings: time.sleep(0.01)
time.sleep(0.3)
sys.exit(warnings[0])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR2, 5), (signal.SIGTERM, 6)])
def test_a_signal_is_handed_on_and_python_waited_for(launch: Path, number: int, code: int):
    process = start(launch, LISTENS)
    _until_ready(process)
    for _ in range(3):
        os.kill(process.pid, number)
        time.sleep(0.02)
    process.communicate(timeout=60)
    assert ended(launch) == {"code": code}


def test_a_warning_before_python_listens_does_not_kill_it(launch: Path):
    body = "print('ready', flush=True); os.kill(os.getpid(), signal.SIGUSR2); sys.exit(3)"
    start(launch, body).communicate(timeout=60)
    assert ended(launch) == {"code": 3}


def _until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready":
            return
