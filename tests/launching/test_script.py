"""The batch script: its options, and what its shell does, with pretended commands."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from bie.config import Settings, SubmititLocal, SubmititSlurm
from bie.errors import BadInput
from bie.launching.script import options, script
from bie.planning.compose import Configurations
from bie.planning.expand import expand


@pytest.fixture
def settings(configurations: Configurations):
    def read(*typed: str) -> Settings:
        launcher = (
            ()
            if any(text.startswith("hydra/launcher") for text in typed)
            else ("hydra/launcher=submitit_slurm",)
        )
        return expand([*launcher, *typed], configurations).settings

    return read


@pytest.fixture
def listed(settings):
    def read(*typed: str) -> dict[str, str | None]:
        chosen = settings(*typed)
        assert isinstance(chosen.hydra.launcher, SubmititSlurm)
        return options(chosen.hydra.launcher, chosen.site, Path("logs"))

    return read


def test_what_nobody_asked_for_is_left_to_the_cluster(listed):
    assert listed() == {
        "job-name": "bie",
        "nodes": "1",
        "ntasks-per-node": "1",
        "time": "60",
        "cpus-per-task": "1",
        "requeue": None,
        "open-mode": "append",
        "output": "logs/%A_%a.log",
        "signal": "B:USR2@120",
    }


def test_the_launcher_has_the_last_word_over_the_site(listed):
    asked = listed(
        "site=spartan", "site.account=punim1", "hydra.launcher.partition=debug", "hydra.launcher.mem_gb=0.5"
    )
    assert (asked["partition"], asked["account"], asked["mem"]) == ("debug", "punim1", "512M")
    assert asked["gres"] == "gpu:1"


def test_another_word_for_the_same_resource_silences_the_sites(listed):
    asked = listed("site=spartan", "hydra.launcher.gpus_per_node=a100:2", "hydra.launcher.mem_per_cpu=4G")
    assert "gres" not in asked
    assert "mem" not in asked
    assert (asked["gpus-per-node"], asked["mem-per-cpu"]) == ("a100:2", "4G")


def test_any_other_option_of_sbatch(listed):
    asked = listed(
        "hydra.launcher.additional_parameters={reservation: teach, hold: true}",
        "+hydra.launcher.additional_parameters.nice=100",
        "hydra.launcher.exclusive=true",
    )
    assert (asked["reservation"], asked["hold"], asked["nice"], asked["exclusive"]) == (
        "teach",
        None,
        "100",
        None,
    )
    assert "exclusive" not in listed("hydra.launcher.exclusive=false")


def test_the_text_quotes_what_it_holds(settings):
    chosen = settings(
        "site.modules=[Python/3.11]",
        "site.environment={SCRATCH: '/scratch/$USER'}",
        "site.environment.NOTE='say \"hi\"'",
        "hydra.launcher.setup=[ulimit -c 0]",
        'hydra.launcher.comment="it\'s mine; rm"',
    )
    text = script(chosen.hydra.launcher, chosen.site, Path("/data/my runs/launch"))
    assert "folder='/data/my runs/launch'\n" in text
    assert (
        'module load Python/3.11\nexport SCRATCH="/scratch/$USER"\nexport NOTE="say \\"hi\\""\nulimit -c 0\n'
        in text
    )
    assert shlex.split(next(line for line in text.splitlines() if "--comment" in line)[8:]) == [
        "--comment=it's mine; rm"
    ]
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "bad", ["hydra.launcher.comment='a\nb'", "site.environment={'A B': c}", "hydra.launcher.nodes=2"]
)
def test_what_cannot_be_in_a_script_is_bad_input(settings, bad: str):
    with pytest.raises(BadInput):
        settings(bad)


# ---- the shell


@pytest.fixture
def launch(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launch folder whose frozen source is a job that does what the test's `job.py` says."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    chosen = settings("hydra/launcher=submitit_local", f"hydra.launcher.python={sys.executable}")
    assert isinstance(chosen.hydra.launcher, SubmititLocal)
    (tmp_path / "job.sh").write_text(script(chosen.hydra.launcher, chosen.site, tmp_path))
    return tmp_path


def start(launch: Path, body: str) -> "subprocess.Popen[str]":
    with zipfile.ZipFile(launch / "source.zip", "w") as archive:
        for name in ("bie/__init__.py", "bie/launching/__init__.py"):
            archive.writestr(f"src/{name}", "")
        archive.writestr(
            "src/bie/launching/job.py", f"import os, signal, sys, time\nfrom pathlib import Path\n{body}"
        )
    command = ["bash", str(launch / "job.sh"), "runs", "7"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def ended(launch: Path) -> dict:
    assert list((launch / "tmp").iterdir()) == [], "the unpacked source was left behind"
    told: dict = json.loads((launch / "ended" / "7").read_text())
    return told


@pytest.mark.parametrize("code", [0, 1, 124])
def test_the_exit_code_is_noted(launch: Path, code: int):
    output, _ = start(launch, f"print(sys.argv[1:])\nsys.exit({code})").communicate(timeout=60)
    assert f"['{launch}', 'runs', '7']" in output
    assert ended(launch) == {"code": code, "job": "local_7", "restart": 0}


def test_a_killed_python_is_noted(launch: Path):
    start(launch, "os.kill(os.getpid(), signal.SIGKILL)").communicate(timeout=60)
    assert ended(launch)["code"] == 137


def test_a_task_that_wants_to_go_on_is_started_again(launch: Path):
    body = f"mark = Path({str(launch / 'mark')!r})\nif mark.exists(): sys.exit(0)\nmark.touch()\nsys.exit(75)"
    start(launch, body).communicate(timeout=60)
    assert ended(launch) == {"code": 0, "job": "local_7", "restart": 1}


LISTENS = """
warnings = []
signal.signal(signal.SIGUSR2, lambda *_: warnings.append(1))
print("ready", flush=True)
while not warnings: time.sleep(0.01)
time.sleep(0.3)
sys.exit(CODE)
"""


def test_a_warning_is_handed_on_and_python_waited_for(launch: Path):
    process = start(launch, LISTENS.replace("CODE", "5"))
    _until_ready(process)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR2)
        time.sleep(0.02)
    process.communicate(timeout=60)
    assert ended(launch)["code"] == 5


def test_a_warning_before_python_is_ready_does_not_kill_it(launch: Path):
    body = "print('ready', flush=True); os.kill(os.getpid(), signal.SIGUSR2); sys.exit(3)"
    start(launch, body).communicate(timeout=60)
    assert ended(launch)["code"] == 3


def test_a_cancelled_task_is_not_started_again(launch: Path):
    process = start(launch, LISTENS.replace("CODE", "75"))
    _until_ready(process)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert ended(launch)["code"] == 143


def _until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready":
            return
