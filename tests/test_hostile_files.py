"""Files of a study that are truncated, hostile or huge: one line or a row that says so, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bie.cli import main
from bie.store.record import read
from tests.disk import NOBODY, Disk, Point, disk, point

__all__ = ["disk", "point"]

DEEP = b"[" * 100_000
SPOILT = {
    "empty": b"",
    "text": b"no file of ours\n",
    "bytes": bytes(range(256)) * 8,
    "list": b"[1, 2]",
    "null": b"null",
    "deep": DEEP,
    "not a number": b'{"seed": NaN}',
}
LAUNCH_FILES = ("plan.parquet", "launch.json", "jobs.json", "points.json", "stopped.json", "ended/0")


@pytest.fixture
def study(disk: Disk, point: Point, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Three runs: done, failed, missing; of a launch whose process is gone."""
    jobs = [{"kind": "runs", "pid": NOBODY, "host": "n1", "first_task": 0, "n_tasks": 1}]
    disk.launch([(point, seed, 0) for seed in range(3)], {"settings": {}}, jobs)
    disk.run(point, 0, "record.json")
    disk.failure(point, 1, "nan", "loss is nan")
    monkeypatch.chdir(disk.root.parents[2])
    return disk


VERBS = (["status"], ["logs", "--failed"], ["aggregate"], ["cancel"])


def _all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends with a code of its own, and what it says of an error is short."""
    for verb in VERBS:
        assert main(verb) in (0, 1, 2)
        said = capsys.readouterr()
        assert "Traceback (" not in said.out + said.err
        assert len(said.err.splitlines()) <= 2


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_a_spoilt_file_of_a_launch(name: str, study: Disk, capsys: pytest.CaptureFixture[str]):
    (launch,) = (study.root / "launches").iterdir()
    path = launch / name
    path.parent.mkdir(exist_ok=True)
    whole = path.read_bytes() if path.exists() else b'{"code": 0}'
    record = next(study.root.glob("runs/*/*/*/*/record.json"))
    kept = record.read_bytes()
    for content in (whole[: len(whole) // 2], *SPOILT.values()):
        path.write_bytes(content)
        _all_verbs(capsys)
        assert record.read_bytes() == kept


@pytest.mark.parametrize("name", ["record.json", "failed.json", "claim.json"])
def test_a_spoilt_file_of_a_run(name: str, study: Disk, point: Point, capsys: pytest.CaptureFixture[str]):
    folder = study.run(point, 0, "record.json").parent
    whole = (folder / "record.json").read_bytes()
    for content in (whole[: len(whole) // 2], *SPOILT.values()):
        (folder / name).write_bytes(content)
        _all_verbs(capsys)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def _places(value: Any, place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [place]
    return [place, *(found for key in value for found in _places(value[key], (*place, key)))]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_record_with_any_value_in_any_place(
    data: st.DataObject, study: Disk, point: Point, capsys: pytest.CaptureFixture[str]
):
    record = study.record(point, 0)
    *above, last = data.draw(st.sampled_from([place for place in _places(record) if place]))
    node = record
    for key in above:
        node = node[key]
    node[last] = data.draw(JSON)
    study.run(point, 0, "record.json", record)
    for verb in (["status"], ["aggregate"]):
        assert main(verb) in (0, 1, 2)
        assert "Traceback (" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("seed", 2**70, "1 unreadable"),
        ("seed", -1, "1 unreadable"),
        ("timing", {"total_s": 2**60 + 1}, "Written"),
    ],
)
def test_numbers_that_no_table_holds(
    part: str, value: object, says: str, study: Disk, point: Point, capsys: pytest.CaptureFixture[str]
):
    study.run(point, 0, "record.json", {**study.record(point, 0), part: value})
    assert main(["aggregate"]) == 1
    said = capsys.readouterr()
    assert says in said.out + said.err


def test_text_that_nests_too_deep_is_none_of_ours(tmp_path: Path):
    for name, content in SPOILT.items():
        (tmp_path / name).write_bytes(content)
    found = {name: read(tmp_path / name) for name in SPOILT}
    assert found.pop("not a number") is not None
    assert set(found.values()) == {None}
    assert json.dumps(found)
