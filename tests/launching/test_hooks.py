"""The shell around submitit's command: what its lines do, with a pretended submitit."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from submitit.slurm.slurm import _make_sbatch_string

from bie.config import Settings, SubmititSlurm
from bie.launching import hooks
from bie.planning.compose import Configurations
from bie.planning.expand import expand


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
