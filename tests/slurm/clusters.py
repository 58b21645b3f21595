"""Real clusters for the tests: as many as `slurm/local_cluster` is asked for."""

import functools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOCAL_CLUSTER = Path(__file__).parents[2] / "slurm/local_cluster"
REQUIRED = bool(os.environ.get("BIE_REQUIRE_SLURM"))


class LocalCluster:
    """A running cluster: its environment, and the commands of `slurm/local_cluster` upon it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(LOCAL_CLUSTER), "--dir", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The variables that `env` exports, over those of this process."""
        exports = shlex.split(self("env").stdout.removeprefix("export "))
        return {**os.environ, **dict(entry.split("=", 1) for entry in exports)}

    @property
    def conf(self) -> str:
        """Path of its slurm.conf: no other cluster has the same."""
        return self.environment["SLURM_CONF"]

    def slurm(self, *command: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self.environment, check=True
        )
        return done.stdout


def start(folder: Path, *settings: str) -> LocalCluster:
    """A new cluster; where Slurm is missing the test is skipped, or fails where it must not be."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if shutil.which("slurmctld", path=path) is None and not REQUIRED:
        pytest.skip("no slurmctld on this machine: slurm/install_packages")
    cluster = LocalCluster(folder)
    started = cluster("start", *settings)
    if started.returncode:
        cluster("stop")
        pytest.fail(f"slurm/local_cluster start: {started.stderr}")
    return cluster
