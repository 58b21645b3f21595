"""What becomes of a run: its record, or the reason why there is none."""

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from bie.execution import recording
from bie.execution.recording import cause_of
from bie.execution.run_spec import Outcome
from bie.execution.worker import execute_one
from bie.store.claims import take
from bie.store.owner import Owner
from bie.store.record import RECORD
from tests.execution.runs import Make, names, record


def test_done_between_the_look_and_the_claim(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_run()

    def late(folder: Path, owner: Owner) -> Any:
        claim = take(folder, owner)
        (folder / RECORD).write_text("{}")
        return claim

    monkeypatch.setattr(recording, "take", late)
    assert execute_one(spec).status == "before"
    assert names(spec) == {RECORD}


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
