import subprocess
from pathlib import Path

import pytest

from bie.diagnosis.cluster import COMMANDS, cluster, of_config

CONFIG = "AccountingStorageType   = accounting_storage/slurmdbd\nMaxArraySize            = 1001\n"


def test_limits_and_accounting_are_said():
    row = of_config("slurm 24.11.4", CONFIG, 9999)
    found = "slurm 24.11.4, MaxArraySize 1001, room for 9,999 tasks, accounting by slurmdbd"
    assert (row.state, row.found) == ("ok", found)
    assert of_config("slurm", "AccountingStorageType = (null)\n", 1).found.endswith("no accounting")
    assert of_config("slurm", CONFIG, 0).state == "warning"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _command(folder: Path, name: str, does: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{does}\n")
    (folder / name).chmod(0o755)


def test_a_machine_without_slurm_is_fine(commands: Path):
    assert cluster().state == "ok"


def test_a_part_of_slurm_is_not_enough(commands: Path):
    _command(commands, "sbatch", "exit 0")
    row = cluster()
    assert row.state == "warning"
    assert row.found == "scancel, scontrol, squeue not found"


def test_a_controller_that_is_gone_is_waited_for_but_shortly(commands: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bie.diagnosis.cluster.ANSWERS_IN_S", 0.05)
    for name in (*COMMANDS, "sinfo"):
        _command(commands, name, "while :; do :; done")
    row = cluster()
    assert row.state == "warning"
    assert "gave no answer" in row.found


def test_a_slurm_that_answers(commands: Path):
    for name in (*COMMANDS, "sinfo"):
        _command(commands, name, "echo 'MaxArraySize = 77'")
    assert subprocess.run(["scontrol"], capture_output=True, text=True, check=True).stdout
    assert "MaxArraySize 77" in cluster().found
