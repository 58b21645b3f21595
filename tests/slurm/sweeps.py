"""A sweep on a real Slurm as a user drives it, and ways to look at it without asking bie."""

import importlib
import io
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from .clusters import LocalCluster

SOURCE = Path(__file__).parents[2] / "src"
SMALL = ("dataset.size=smoke", "train=smoke", "metrics.kmeans.n_init=2")
PRETENDED = ("site.gres=gpu:1", "device=cpu")  # GPUs that can be reserved, not used
ON_SLURM = (
    "hydra/launcher=submitit_slurm",
    "site=local_cluster",
    *PRETENDED,
    "hydra.launcher.runs_per_job=1",
    f"hydra.launcher.python={Path(__file__).parent / 'holding/python'}",
)
PATIENCE = 400.0  # seconds; a runner of CI with its two cores taken is slow
PAUSE = 0.5


class Sweep:
    """One study in a working folder of its own.

    Parameters
    ----------
    cluster
        Where it is launched.
    folder
        Working folder: ``outputs`` lands in it.
    overrides
        What all its launches have in common.
    """

    def __init__(self, cluster: LocalCluster, folder: Path, *overrides: str) -> None:
        self.cluster, self.folder = cluster, folder
        self.overrides = (*SMALL, *overrides)
        self.tree = folder / "outputs/v1/adhoc"
        self._hold = folder / "hold"
        self.variables = {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(SOURCE),
            "HOLDING_PYTHON": sys.executable,
            "HOLD": str(self._hold),
        }

    # ---- what a user types

    def bie(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb, ended; in this process, as a new one takes its time each time."""
        out, err = io.StringIO(), io.StringIO()
        main = importlib.import_module(f"bie.{verb}").main
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            for name, value in (self.cluster.environment | self.variables).items():
                patch.setenv(name, value)
            code = main(list(arguments))
        return subprocess.CompletedProcess([verb, *arguments], code, out.getvalue(), err.getvalue())

    def start(self, verb: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """A verb, just started; with variables of the environment besides."""
        return subprocess.Popen(
            [sys.executable, "-m", f"bie.{verb}", *arguments],
            cwd=self.folder,
            env=self.cluster.environment | self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *overrides: str) -> tuple[str, ...]:
        """Arguments of the launch."""
        return ("-m", *self.overrides, *ON_SLURM, *overrides)

    def launch(self, *overrides: str) -> subprocess.CompletedProcess[str]:
        """Submit; it has to succeed."""
        done = self.bie("run", *self.command(*overrides))
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start_from(self, source: Path, *overrides: str) -> subprocess.Popen[str]:
        """Begin to submit with the code in another folder, which only a new process loads."""
        return self.start("run", *self.command(*overrides), PYTHONPATH=str(source))

    def retry(self, *arguments: str) -> None:
        """The one command that mends a sweep, and its end."""
        done = self.bie("retry", str(self.tree), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        self.wait_until_over()

    def hold(self) -> None:
        """Let runs wait in training, each after the epoch that it is at: `holding` does it."""
        self._hold.touch()

    def let_go(self) -> None:
        """Let runs that wait, and those to come, go on."""
        self._hold.unlink()

    # ---- what bie says

    def status(self) -> Counter[str]:
        """Runs by state, over all cells."""
        said = self.bie("status", str(self.tree), "--json")
        assert said.returncode in (0, 1), said.stderr
        total: Counter[str] = Counter()
        for cell in json.loads(said.stdout)["cells"]:
            total.update({key: n for key, n in cell.items() if isinstance(n, int)})
        return total

    def failures(self) -> str:
        """What `bie logs --failed` prints."""
        return self.bie("logs", "--failed", str(self.tree)).stdout

    def is_over(self) -> bool:
        """Whether nothing runs or waits."""
        mine = {array["job_id"] for array in self.arrays()}
        return mine.isdisjoint(self.cluster.slurm("squeue", "-h", "-o", "%F").split())

    def wait_until_over(self, patience: float = PATIENCE) -> Counter[str]:
        """Until nothing runs or waits; the state then."""
        wait_for(self.is_over, patience, self.describe)
        return self.status()

    def wait_for_status(self, patience: float = PATIENCE, **wanted: int) -> None:
        """Until status counts these numbers of runs."""

        def reached() -> bool:
            now = self.status()
            return all(now[state] == n for state, n in wanted.items())

        wait_for(reached, patience, self.describe, pause=1.0)

    # ---- what is there

    def run_folder(self, seed: int) -> Path:
        """Folder of the run with a seed; the sweep has one grid point."""
        (point,) = (self.tree / "runs").glob("*/*/*")
        return point / f"seed={seed:04d}"

    def claim(self, seed: int) -> dict[str, Any] | None:
        """Who is at a run."""
        try:
            return dict(json.loads((self.run_folder(seed) / "claim.json").read_text()))
        except (OSError, ValueError):
            return None

    def wait_for_claim(self, seed: int) -> dict[str, Any]:
        """Until somebody is at a run."""
        wait_for(lambda: self.claim(seed) is not None, PATIENCE, self.describe, pause=0.05)
        return self.claim(seed) or {}

    def processes(self, task: str, module: str = "") -> list[int]:
        """Process ids of a task (``81233_4``, or ``81233``), whoever their parents are: by their environment.

        Parameters
        ----------
        module
            Only those that were started as it.
        """
        array, _, index = task.partition("_")
        ids = (
            (f"SLURM_ARRAY_JOB_ID={array}", f"SLURM_ARRAY_TASK_ID={index}")
            if index
            else (f"SLURM_JOB_ID={array}",)
        )
        wanted = {text.encode() for text in (f"SLURM_CONF={self.cluster.conf}", *ids)}
        return [
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if wanted <= _words(path / "environ") and module.encode() in _words(path / "cmdline") | {b""}
        ]

    def record(self, seed: int) -> dict[str, Any]:
        """Record of a run."""
        return dict(json.loads((self.run_folder(seed) / "record.json").read_text()))

    def files(self) -> dict[str, bytes]:
        """All that finished runs have left, byte by byte."""
        records = (self.tree / "runs").rglob("record.json")
        files = (path for record in records for path in record.parent.iterdir())
        return {str(path): path.read_bytes() for path in files}

    def logs(self) -> str:
        """All logs of all tasks."""
        paths = sorted((self.tree / "launches").glob("*/submitit/*_log.out"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def arrays(self) -> list[dict[str, Any]]:
        """Arrays of all launches, the oldest first."""
        found = sorted((self.tree / "launches").glob("*/jobs.json"))
        return [job for path in found for job in json.loads(path.read_text())]

    def has_done(self, n: int, kept: Mapping[str, bytes] | None = None) -> None:
        """Fail unless all n runs are done, and the files that there were before are as they were."""
        all_done = {"done": n, "running": 0, "queued": 0, "failed": 0, "expected": n}
        assert self.status() == all_done, self.describe()
        assert self.bie("status", str(self.tree)).returncode == 0
        assert (kept or {}).items() <= self.files().items()

    def failed_run(self) -> str:
        """Folder of the one run that failed."""
        (failure,) = (self.tree / "runs").rglob("failed.json")
        return str(failure.parent)

    def describe(self) -> str:
        """What to print where a wait was in vain."""
        queue = self.cluster.slurm("squeue", "-o", "%.12i %.8T %.10M %.20r")
        return f"{self.bie('status', str(self.tree)).stdout}\n{queue}\n{self.logs()[-4000:]}"


def copy_finished(done: Sweep, into: Sweep) -> None:
    """Start a study with the finished runs of another one."""
    shutil.copytree(done.tree / "runs", into.tree / "runs")


def wait_for(
    reached: Callable[[], bool], patience: float, describe: Callable[[], str], pause: float = PAUSE
) -> float:
    """Seconds until something is so; fails with a description where it does not come to be."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < patience, f"in vain for {patience:.0f} s\n{describe()}"
        time.sleep(pause)
    return time.monotonic() - began


def fill(path: Path) -> None:
    """Write a file until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _words(path: Path) -> set[bytes]:
    try:
        return set(path.read_bytes().split(b"\0"))
    except OSError:
        return set()
