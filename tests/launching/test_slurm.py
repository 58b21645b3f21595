"""Slurm's commands: what a real Slurm 22.05 printed, and a pretended one on the PATH."""

import os
import stat
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bie.launching import slurm
from bie.launching.slurm import Key, State, ask, parse_jobs, parse_rows, state_of

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
    going = {("5", 4): "PENDING", ("5", 5): "PENDING", ("5", 3): "RUNNING"}
    assert {key: state.word for key, state in slurm.parse_rows(QUEUE).items()} == going
    assert slurm.parse_jobs(JOBS) == {
        ("5", 4): State("waiting", None, "PENDING"),
        ("5", 5): State("waiting", None, "PENDING"),
        ("5", 1): State("ended", "error", "FAILED"),
    }
    alone = slurm.parse_jobs("JobId=9 JobName=wrap JobState=RUNNING ExitCode=0:0\n")
    assert alone == {("9", 0): State("running", None, "RUNNING")}
    assert slurm.parse_config(CONFIG)["MaxArraySize"] == "1001"


def test_what_slurm_has_forgotten_is_no_error(fake: Fake):
    for name in ("squeue", "scontrol"):
        fake(name, "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm.queue(["99"]) == {}
    assert slurm.show_jobs(["99", "98"]) == {}


def test_a_controller_that_is_away_is_an_error(fake: Fake):
    fake("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(slurm.SlurmError, match="Unable to contact"):
        slurm.queue(["99"])


def test_accounting_that_is_off_tells_nothing(fake: Fake):
    fake("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.accounting(["5"]) == {}
    fake("sacct", "echo '5_0|COMPLETED|0:0'; echo '5_1|CANCELLED by 0|0:15'")
    assert slurm.accounting(["5"]) == {
        ("5", 0): State("ended", None, "COMPLETED"),
        ("5", 1): State("ended", "cancelled", "CANCELLED"),
    }


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


ALL = [(array, i) for array, n in (("18", 5), ("19", 4), ("20", 1), ("21", 2)) for i in range(n)]
ENDED = {
    ("18", 0): None,
    ("18", 1): "error",
    ("18", 2): "killed",
    ("18", 3): "cancelled",
    ("18", 4): "killed",
    ("19", 0): "node",
    ("21", 0): "timeout",
    ("21", 1): "timeout",
}
GOING = {
    ("19", 1): "running",
    ("19", 2): "waiting",
    ("19", 3): "waiting",
    ("20", 0): "waiting",
}


def check(states: dict[Key, State]) -> None:
    assert {key: state.cause for key, state in states.items() if state.phase == "ended"} == ENDED
    assert {key: state.phase for key, state in states.items() if state.phase != "ended"} == GOING


def test_squeue_knows_what_waits_or_runs(captured: Path):
    states = parse_rows((captured / "squeue.txt").read_text())
    assert {key: state.phase for key, state in states.items()} == GOING


def test_scontrol_and_sacct_each_tell_the_same(captured: Path):
    check(parse_jobs((captured / "scontrol.txt").read_text()))
    check(parse_rows((captured / "sacct.txt").read_text()))


@pytest.mark.parametrize(
    ("word", "code", "phase", "cause"),
    [
        ("CANCELLED by 1000", "0:0", "ended", "cancelled"),
        ("OUT_OF_MEMORY", "0:125", "ended", "oom"),
        ("PREEMPTED", "0:0", "ended", "preempted"),
        ("FAILED", "124:0", "ended", "timeout"),
        ("FAILED", "15:0", "ended", "cancelled"),
        ("FAILED", "", "ended", "error"),
        ("COMPLETED", "0:0", "ended", None),
        ("COMPLETING", "0:0", "running", None),
        ("SUSPENDED", "0:0", "running", None),
        ("REQUEUE_HOLD", "0:0", "waiting", None),
    ],
)
def test_every_word_of_slurm_has_a_place(word: str, code: str, phase: str, cause: str | None):
    assert state_of(word, code) == State(phase, cause, word.split()[0])  # type: ignore[arg-type]


def test_the_queue_has_the_last_word_on_a_requeued_task(slurm: Any):
    slurm.command("sacct", "echo '20_0|PREEMPTED|0:0'")
    assert ask([("20", 0)])[0]["20", 0].phase == "waiting"
    assert not [call for call in slurm.calls if call.startswith("sacct")]


@pytest.mark.parametrize("lost", ["squeue forgot", "squeue and scontrol forgot", "no accounting"])
def test_whoever_still_knows_is_believed(lost: str, slurm: Any):
    if lost == "squeue and scontrol forgot":
        slurm.forget()
    if lost == "no accounting":
        slurm.no_accounting()
    states, slurm_error = ask(ALL)
    assert slurm_error is None
    check(states)


def test_what_nobody_knows_is_not_known(slurm: Any):
    slurm.forget()
    slurm.no_accounting()
    assert ask(ALL) == ({}, None)


def test_a_silent_slurm_says_why(slurm: Any):
    slurm.command("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    assert "Unable to contact" in str(ask(ALL)[1])
    assert ask(ALL)[0] == {}


def test_nothing_asked_nothing_called(slurm: Any):
    assert ask([])[0] == {}
    assert slurm.calls == []
