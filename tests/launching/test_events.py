"""Events of a task, as they are noted and read, and when failures that are alike stop a launch."""

from pathlib import Path

import pytest

from bie.execution.run_spec import Outcome
from bie.launching.events import break_circuit, note, read_events
from bie.store.launches import stopped

from .conftest import run


def fail(
    launch: Path, task: int, seed: int, message: str = "loss is nan in epoch 3", cause: str = "nan"
) -> None:
    note(launch, str(task), Outcome("failed", cause, message.replace("3", str(seed))), run(seed))


def test_entries_come_back_in_order_of_a_task_or_of_several(tmp_path: Path):
    assert read_events(tmp_path, "0") == []
    fail(tmp_path, 0, 1)
    note(tmp_path, "0", Outcome("done", scores={"ari": None}, seconds=1.5), run(2))
    fail(tmp_path, 1, 3)
    first, second = read_events(tmp_path, "0")
    assert (first.seed, second.seed, second.scores) == (1, 2, {"ari": None})
    assert [event.seed for event in read_events(tmp_path, "[0-9]*")] == [1, 2, 3]


def test_half_a_line_waits_and_a_broken_one_is_passed_over(tmp_path: Path):
    fail(tmp_path, 0, 1)
    path = tmp_path / "journal" / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"status": "do\n' + whole + whole[:20])
    assert [e.status for e in read_events(tmp_path, "0")] == ["failed", "failed"]


def test_what_a_task_notes_of_itself_is_of_no_run(tmp_path: Path):
    note(tmp_path, "0", Outcome("fruitless"))
    (event,) = read_events(tmp_path, "0")
    assert (event.status, event.config_id, event.seed) == ("fruitless", "", -1)


def test_identical_failures_of_several_tasks_stop_the_launch_once(tmp_path: Path):
    for seed in range(3):
        assert not break_circuit(tmp_path, 3)
        fail(tmp_path, seed % 2, seed)
    assert break_circuit(tmp_path, 3)
    reason = stopped(tmp_path)
    assert reason is not None
    assert reason.startswith("3 of 3 runs failed alike, nan: loss is nan in epoch N")
    assert not break_circuit(tmp_path, 3), "stopped already"


@pytest.mark.parametrize("most", [None, 4])
def test_too_few_failures_or_no_limit(tmp_path: Path, most: int | None):
    for seed in range(3):
        fail(tmp_path, 0, seed)
    assert not break_circuit(tmp_path, most)


def test_failures_of_different_causes_are_not_alike(tmp_path: Path):
    for seed, message in enumerate(("no space", "out of memory", "no module")):
        fail(tmp_path, 0, seed, message)
    assert not break_circuit(tmp_path, 2)


def test_a_sweep_most_of_which_succeeds_is_not_stopped(tmp_path: Path):
    for seed in range(40):
        note(tmp_path, "0", Outcome("done"), run(seed))
    for seed in range(20):
        fail(tmp_path, 1, seed)
    assert not break_circuit(tmp_path, 20)
    for seed in range(20, 40):
        fail(tmp_path, 2, seed)
    assert break_circuit(tmp_path, 20)
