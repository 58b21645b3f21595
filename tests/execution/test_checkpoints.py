"""Checkpoints: what makes one useless, and what becomes of a run that had one."""

import errno
import io
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import torch

from bie.execution import checkpoints, recording
from bie.execution.worker import execute_one
from bie.store.claims import CLAIM
from bie.store.record import CHECKPOINT, FAILED
from tests.execution.runs import Make, epochs_of, interrupted, names, numbers, record


def spoil_text(content: bytes) -> bytes:
    return b"not a checkpoint"


def spoil_end(content: bytes) -> bytes:
    return content[: len(content) // 2]


def spoil_byte(content: bytes) -> bytes:
    """One byte of the weights."""
    weights = torch.load(io.BytesIO(content), weights_only=True)["training"]["trained"]["model"]
    place = content.index(weights["decoder.log_theta"].numpy().tobytes())
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def change(name: str, value: Any) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        found = torch.load(io.BytesIO(content), weights_only=True)
        found["maker"][name] = value
        buffer = io.BytesIO()
        torch.save(found, buffer)
        return buffer.getvalue()

    return changed


def spoil_keys(content: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save({"maker": {}}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_text, "cannot be read"),
        (spoil_end, "cannot be read"),
        (spoil_byte, "is damaged"),
        (spoil_keys, "it lacks"),
        (change("source", "0" * 64), "other source"),
        (change("kernels", "others"), "other kernels"),
        (change("run", "1" * 64), "other run"),
    ],
)
def test_of_no_use_is_ignored(
    spoil: Callable[[bytes], bytes], why: str, make_run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = make_run("run", "model=scvi")
    interrupted(spec, 2)
    path = spec.folder / CHECKPOINT
    path.write_bytes(spoil(path.read_bytes()))
    assert epochs_of(spec) == [1, 2, 3, 4]
    said = capsys.readouterr().out
    assert "starts anew" in said
    assert why in said
    assert record(spec)["timing"]["interruptions"] == 0


def full(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


class Killed(BaseException):
    """As if the process had ended there."""


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    whole, spec = make_run("whole"), make_run()

    def kill(epoch: int) -> None:
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        execute_one(spec, kill)
    assert names(spec) == {CHECKPOINT}
    assert epochs_of(spec) == [3, 4]
    assert epochs_of(whole) == [1, 2, 3, 4]
    assert numbers(spec) == numbers(whole)


def test_short_runs_leave_no_checkpoint_on_their_way(make_run: Make) -> None:
    spec, seen = make_run(), set[str]()
    execute_one(spec, lambda epoch: seen.update(names(spec)))
    assert seen == {CLAIM}


def test_without_room_for_a_checkpoint_the_run_goes_on(
    make_run: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    monkeypatch.setattr(checkpoints, "write_file", full)
    spec = make_run()
    assert epochs_of(spec) == [1, 2, 3, 4]
    assert "no checkpoint: [Errno 28] No space left" in capsys.readouterr().out
    other = make_run("other")
    interrupted(other, 2)
    assert names(other) == set()


def test_a_checkpoint_that_leads_to_an_error_is_not_tried_twice(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_run()
    interrupted(spec, 2)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "write_record", full)
        assert execute_one(spec).cause == "disk"
    assert names(spec) == {CHECKPOINT, FAILED}, "with more room the run may go on from it"
    with monkeypatch.context() as patch:
        patch.setattr(recording, "_record", lambda *_: 1 / 0)
        assert execute_one(spec).cause == "error"
    assert names(spec) == {FAILED}
    assert epochs_of(spec) == [1, 2, 3, 4]
