"""Events of a task, as they are noted and read."""

from pathlib import Path

from bie.execution.run_spec import Outcome
from bie.launching.events import note, read_events

from .conftest import run


def fail(
    launch: Path, task: int, seed: int, message: str = "loss is nan in epoch 3", cause: str = "nan"
) -> None:
    note(launch, str(task), Outcome("failed", cause, message.replace("3", str(seed))), run(seed))


def test_entries_come_back_in_order_and_from_a_position(tmp_path: Path):
    fail(tmp_path, 0, 1)
    first, position = read_events(tmp_path / "journal" / "0.jsonl")
    note(tmp_path, "0", Outcome("done", scores={"ari": None}, seconds=1.5), run(2))
    second, end = read_events(tmp_path / "journal" / "0.jsonl", position)
    assert [e.seed for e in (*first, *second)] == [1, 2]
    assert second[0].scores == {"ari": None}
    assert read_events(tmp_path / "journal" / "0.jsonl", end) == ([], end)


def test_half_a_line_waits_and_a_broken_one_is_passed_over(tmp_path: Path):
    fail(tmp_path, 0, 1)
    path = tmp_path / "journal" / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"status": "do\n' + whole + whole[:20])
    found, position = read_events(path)
    assert [e.status for e in found] == ["failed", "failed"]
    assert position == len(path.read_bytes()) - 20


def test_what_a_task_notes_of_itself_is_of_no_run(tmp_path: Path):
    note(tmp_path, "0", Outcome("fruitless"))
    (event,), _ = read_events(tmp_path / "journal" / "0.jsonl")
    assert (event.status, event.config_id, event.seed) == ("fruitless", "", -1)
