"""Slurm's commands: what a real Slurm 22.05 printed, and a pretended one on the PATH."""

import os
import stat
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bie.launching import slurm

CONFIG = """\
Configuration data as of 2026-11-21T09:52:14
AccountingStorageType   = accounting_storage/slurmdbd
KillWait                = 5 sec
MaxArraySize            = 1001
MaxJobCount             = 10000
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at vm is UP
"""
QUEUE = """\
5_4|PENDING
5_5|PENDING
5_3|RUNNING
"""
JOBS = """\
JobId=5 ArrayJobId=5 ArrayTaskId=4-5%2 ArrayTaskThrottle=2 JobName=wrap UserId=root(0) JobState=PENDING Reason=None TimeLimit=00:10:00
JobId=7 ArrayJobId=5 ArrayTaskId=1 ArrayTaskThrottle=2 JobName=wrap JobState=FAILED Reason=NonZeroExitCode ExitCode=1:0 ReqB:S:C:T=0:0:*:*
"""  # noqa: E501

Fake = Callable[[str, str], Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a shell script on the PATH under the name of a Slurm command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/bash\n{textwrap.dedent(body)}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def test_queue_and_jobs_and_config_are_read():
    told = [slurm.Told("5_4", "PENDING"), slurm.Told("5_5", "PENDING"), slurm.Told("5_3", "RUNNING")]
    assert slurm.parse_rows(QUEUE) == told
    assert slurm.parse_jobs(JOBS) == [
        slurm.Told("5_4-5%2", "PENDING"),
        slurm.Told("5_1", "FAILED", "1:0"),
    ]
    assert slurm.parse_jobs("JobId=9 JobName=wrap JobState=RUNNING ExitCode=0:0\n") == [
        slurm.Told("9", "RUNNING", "0:0")
    ]
    assert slurm.parse_config(CONFIG)["MaxArraySize"] == "1001"


def test_what_slurm_has_forgotten_is_no_error(fake: Fake):
    for name in ("squeue", "scontrol"):
        fake(name, "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm.queue(["99"]) == []
    assert slurm.show_jobs(["99"]) == []


def test_a_controller_that_is_away_is_an_error(fake: Fake):
    fake("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(slurm.SlurmError, match="Unable to contact"):
        slurm.queue(["99"])


def test_accounting_that_is_off_tells_nothing(fake: Fake):
    fake("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.accounting(["5"]) == []
    fake("sacct", "echo '5_0|COMPLETED|0:0'; echo '5_1|CANCELLED by 0|0:15'")
    told = [slurm.Told("5_0", "COMPLETED", "0:0"), slurm.Told("5_1", "CANCELLED by 0", "0:15")]
    assert slurm.accounting(["5"]) == told


def test_a_command_does_not_see_the_job_it_is_called_from(fake: Fake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    fake("env-of", "env | grep ^SLURM_")
    assert slurm.run("env-of") == "SLURM_CONF=/etc/slurm/slurm.conf\n"


def test_a_command_that_hangs_is_given_up(fake: Fake):
    fake("squeue", "echo 'squeue: error: Unable to contact, sleeping' >&2; exec sleep 60")
    start = time.monotonic()
    with pytest.raises(slurm.SlurmError, match=r"no answer in 1 s.*Unable to contact"):
        slurm.run("squeue", timeout_s=1)
    assert time.monotonic() - start < 30


def test_no_slurm_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(slurm.SlurmError, match="squeue is not on this machine"):
        slurm.run("squeue")
    assert slurm.limits("me") == slurm.Limits(1001, 10000, False)


@pytest.mark.parametrize(
    ("associations", "qos", "quota"),
    [
        ("", "", 9997),  # three tasks are in the queue
        ("phys||", "", 9997),
        ("phys|100|", "", 98),  # two of them are mine
        ("phys|100|\nbio|200|", "", 198),  # which account it will be is not known
        ("phys|100|normal", "50", 48),
    ],
)
def test_limits_count_what_is_queued(fake: Fake, associations: str, qos: str, quota: int):
    fake("scontrol", f"cat <<'END'\n{CONFIG}END")
    fake("squeue", "printf 'me\\nyou\\nme\\n'")
    fake("sacctmgr", f"case $* in *assoc*) printf '{associations}\\n';; *qos*) echo '{qos}';; esac")
    assert slurm.limits("me") == slurm.Limits(1001, quota, True)
