"""The journal and the circuit breaker."""

from pathlib import Path

import pytest

from bie.launching.journal import Entry, entries, note, trip
from bie.store.launches import stopped


def fail(
    launch: Path, task: int, seed: int, message: str = "loss is nan in epoch 3", cause: str = "nan"
) -> None:
    note(launch, str(task), Entry("failed", "c", seed, cause, message.replace("3", str(seed))))


def test_entries_come_back_in_order_and_from_a_position(tmp_path: Path):
    fail(tmp_path, 0, 1)
    first, position = entries(tmp_path / "journal" / "0.jsonl")
    note(tmp_path, "0", Entry("done", "c", 2, seconds=1.5, scores={"ari": None}))
    second, end = entries(tmp_path / "journal" / "0.jsonl", position)
    assert [e.seed for e in (*first, *second)] == [1, 2]
    assert second[0].scores == {"ari": None}
    assert entries(tmp_path / "journal" / "0.jsonl", end) == ([], end)


def test_half_a_line_waits_and_a_broken_one_is_passed_over(tmp_path: Path):
    fail(tmp_path, 0, 1)
    path = tmp_path / "journal" / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"status": "do\n' + whole + whole[:20])
    found, position = entries(path)
    assert [e.status for e in found] == ["failed", "failed"]
    assert position == len(path.read_bytes()) - 20


def test_identical_failures_of_several_tasks_stop_the_launch_once(tmp_path: Path):
    for seed in range(3):
        assert not trip(tmp_path, 3)
        fail(tmp_path, seed % 2, seed)
    assert trip(tmp_path, 3)
    reason = stopped(tmp_path)
    assert reason is not None
    assert reason.startswith("3 of 3 runs failed alike, nan: loss is nan in epoch #")
    assert not trip(tmp_path, 3), "stopped already"


@pytest.mark.parametrize("most", [None, 4])
def test_too_few_failures_or_no_limit(tmp_path: Path, most: int | None):
    for seed in range(3):
        fail(tmp_path, 0, seed)
    assert not trip(tmp_path, most)


def test_failures_of_different_causes_are_not_alike(tmp_path: Path):
    for seed, message in enumerate(("no space", "out of memory", "no module")):
        fail(tmp_path, 0, seed, message)
    assert not trip(tmp_path, 2)


def test_a_sweep_most_of_which_succeeds_is_not_stopped(tmp_path: Path):
    for seed in range(40):
        note(tmp_path, "0", Entry("done", "c", seed))
    for seed in range(20):
        fail(tmp_path, 1, seed)
    assert not trip(tmp_path, 20)
    for seed in range(20, 40):
        fail(tmp_path, 2, seed)
    assert trip(tmp_path, 20)
