"""One run from claim to record, and everything that can come in between."""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from bie.execution import recording
from bie.execution.recording import cause_of
from bie.execution.run_spec import Outcome
from bie.execution.worker import execute_one
from bie.store import claims
from bie.store.claims import CLAIM, living, take
from bie.store.owner import Owner
from bie.store.record import CHECKPOINT, HISTORY, RECORD
from tests.execution.runs import (
    Make,
    epochs_of,
    interrupted,
    names,
    numbers,
    record,
)


def test_an_interrupted_run_ends_like_any_other(make_run: Make) -> None:
    whole, halted = make_run("whole"), make_run("halted")
    assert execute_one(whole).status == "done"
    first = interrupted(halted, 1)
    assert names(halted) == {CHECKPOINT}
    assert interrupted(halted, 3).seconds > first.seconds
    assert epochs_of(halted) == [4]
    assert names(halted) == {RECORD, HISTORY}
    assert numbers(halted) == numbers(whole)
    assert (halted.folder / HISTORY).read_bytes() == (whole.folder / HISTORY).read_bytes()
    times = record(halted)["timing"]
    assert times["interruptions"] == 2
    assert first.seconds < times["fit_s"] < times["total_s"]
    assert record(whole)["timing"]["interruptions"] == 0
    assert execute_one(halted).status == "before"


def test_a_run_that_somebody_is_at_is_left_to_them(make_run: Make) -> None:
    spec = make_run()
    with take(spec.folder, Owner.here()):  # type: ignore[union-attr]
        assert execute_one(spec) == Outcome("elsewhere")
        assert names(spec) == {CLAIM}


def test_the_claim_names_the_launch_while_the_run_lasts(make_run: Make) -> None:
    spec, said = make_run(), []
    execute_one(spec, lambda epoch: said.append(living(spec.folder)), launch="20260101")
    assert {claim["launch"] for claim in said if claim} == {"20260101"}
    assert CLAIM not in names(spec)


def test_done_between_the_look_and_the_claim(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_run()

    def late(folder: Path, owner: Owner) -> Any:
        claim = take(folder, owner)
        (folder / RECORD).write_text("{}")
        return claim

    monkeypatch.setattr(recording, "take", late)
    assert execute_one(spec).status == "before"
    assert names(spec) == {RECORD}


def test_whoever_was_succeeded_stops(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT", 0.01)
    spec = make_run()
    theirs = json.dumps({"host": "another", "pid": 1})

    def succeed(epoch: int) -> None:
        (spec.folder / CLAIM).write_text(theirs)
        time.sleep(0.3)

    assert execute_one(spec, succeed).status == "elsewhere"
    assert names(spec) == {CLAIM}
    assert (spec.folder / CLAIM).read_text() == theirs


def test_a_record_that_somebody_else_wrote_meanwhile_stays(make_run: Make) -> None:
    spec = make_run()

    def finish_elsewhere(epoch: int) -> None:
        (spec.folder / RECORD).write_text("{}")

    assert execute_one(spec, finish_elsewhere) == Outcome("before")
    assert names(spec) == {RECORD}
    assert record(spec) == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_fails_the_run(
    number: int, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    spec = make_run()
    monkeypatch.setattr(os, "fsync", refuse)
    outcome = execute_one(spec)
    assert (outcome.status, outcome.cause) == ("failed", "disk")
    assert os.strerror(number) in outcome.message
    assert names(spec) == set()


def too_much() -> RuntimeError:
    """What torch says of more memory than there is."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (too_much(), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "error"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "error"),
        (TypeError("out of memory"), "error"),
    ],
)
def test_causes(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause
