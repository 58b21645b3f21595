"""What Slurm's commands print, read; every text was printed by a real Slurm 22.05."""

from pathlib import Path
from typing import Any

import pytest

from bie.launching import slurm as commands
from bie.monitoring.states import Key, State, ask, state_of, states_of

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
    states = states_of(commands.parse_rows((captured / "squeue.txt").read_text()))
    assert {key: state.phase for key, state in states.items()} == GOING


def test_scontrol_and_sacct_each_tell_the_same(captured: Path):
    check(states_of(commands.parse_jobs((captured / "scontrol.txt").read_text())))
    check(states_of(commands.parse_rows((captured / "sacct.txt").read_text())))


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
