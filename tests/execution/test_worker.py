"""One run from claim to record, and everything that can come in between."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from bie.data.load import load
from bie.data.shelf import shelve
from bie.execution import checkpoints, worker
from bie.execution.packs import Pack
from bie.execution.pool import _next
from bie.execution.pool_protocol import InThisProcess
from bie.execution.run_spec import Outcome, RunSpec, disclaim, leave_killed
from bie.execution.signals import stoppable
from bie.execution.worker import cause_of, execute
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store import claims
from bie.store.claims import CLAIM, living, take
from bie.store.identity import config_id, scientific
from bie.store.owner import Owner
from bie.store.record import CHECKPOINT, FAILED, HISTORY, RECORD

EPOCHS = 4
MINE = ("model=scvi_mine", "mine.steps=1")
Make = Callable[..., RunSpec]
Row = dict[str, float]


@pytest.fixture
def make(configurations: Configurations, tmp_path: Path, tiny: tuple[str, ...]) -> Make:
    """A run in a folder of its own."""

    def spec(name: str = "run", *overrides: str) -> RunSpec:
        typed = (*tiny, f"train.epochs={EPOCHS}", *(overrides or MINE))
        config = expand(typed, configurations).combinations[0].config
        cells = load(config.dataset)
        plain = scientific(config, cells.hashes)
        del plain["seed"]
        shelf = shelve(cells, tmp_path / "cells")
        return RunSpec(name, config, plain, config_id(plain), shelf, {}, tmp_path / name)

    return spec


def ignore(row: Row) -> None:
    """Nobody is interested."""


def after(epoch: int) -> tuple[Callable[[Row], None], Callable[[], bool]]:
    """What to hand to `execute` so that it is asked to stop after an epoch."""
    seen: list[float] = []
    return lambda row: seen.append(row["epoch"]), lambda: seen[-1] >= epoch


def interrupted(spec: RunSpec, epoch: int) -> Outcome:
    outcome = execute(spec, *after(epoch))
    assert outcome.status == "interrupted"
    return outcome


def epochs_of(spec: RunSpec) -> list[int]:
    """Epochs that it takes to finish the run."""
    seen: list[int] = []
    assert execute(spec, lambda row: seen.append(int(row["epoch"]))).status == "done"
    return seen


def names(spec: RunSpec) -> set[str]:
    return {path.name for path in spec.folder.iterdir()}


def record(spec: RunSpec) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((spec.folder / RECORD).read_text())
    return found


def numbers(spec: RunSpec) -> str:
    """All of a record but when and where it was made."""
    return json.dumps({k: v for k, v in record(spec).items() if k not in ("timing", "provenance")})


def test_an_interrupted_run_ends_like_any_other(make: Make) -> None:
    whole, halted = make("whole"), make("halted")
    assert execute(whole, ignore).status == "done"
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
    assert execute(halted, ignore).status == "before"


def test_a_run_that_somebody_is_at_is_left_to_them(make: Make) -> None:
    spec = make()
    with take(spec.folder, Owner.here()):  # type: ignore[union-attr]
        assert execute(spec, ignore) == Outcome("elsewhere")
        assert names(spec) == {CLAIM}


def test_the_claim_names_the_launch_while_the_run_lasts(make: Make) -> None:
    spec, said = make(), []
    execute(spec, lambda row: said.append(living(spec.folder)), launch="20260101")
    assert {claim["launch"] for claim in said if claim} == {"20260101"}
    assert CLAIM not in names(spec)


def test_done_between_the_look_and_the_claim(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make()

    def late(folder: Path, owner: Owner) -> Any:
        claim = take(folder, owner)
        (folder / RECORD).write_text("{}")
        return claim

    monkeypatch.setattr(worker, "take", late)
    assert execute(spec, ignore).status == "before"
    assert names(spec) == {RECORD}


def test_whoever_was_succeeded_stops(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT", 0.01)
    spec = make()
    theirs = json.dumps({"host": "another", "pid": 1})

    def succeed(row: Row) -> None:
        (spec.folder / CLAIM).write_text(theirs)
        time.sleep(0.3)

    assert execute(spec, succeed).status == "elsewhere"
    assert names(spec) == {CLAIM}
    assert (spec.folder / CLAIM).read_text() == theirs


def test_a_record_that_somebody_else_wrote_meanwhile_stays(make: Make) -> None:
    spec = make()

    def finish_elsewhere(row: Row) -> None:
        (spec.folder / RECORD).write_text("{}")

    assert execute(spec, finish_elsewhere) == Outcome("before")
    assert names(spec) == {RECORD}
    assert record(spec) == {}


# Checkpoints that are of no use


def spoil_text(content: bytes) -> bytes:
    return b"not a checkpoint"


def spoil_end(content: bytes) -> bytes:
    return content[: len(content) // 2]


def spoil_byte(content: bytes) -> bytes:
    """One byte of the weights."""
    weights = torch.load(io.BytesIO(content), weights_only=True)["training"]["parts"]["model"]
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
    spoil: Callable[[bytes], bytes], why: str, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = make("run", "model=scvi")
    interrupted(spec, 2)
    path = spec.folder / CHECKPOINT
    path.write_bytes(spoil(path.read_bytes()))
    assert epochs_of(spec) == [1, 2, 3, 4]
    said = capsys.readouterr().out
    assert "starts anew" in said
    assert why in said
    assert record(spec)["timing"]["interruptions"] == 0


# What goes wrong on the way


class Killed(BaseException):
    """As if the process had ended there."""


def test_a_killed_run_goes_on_from_its_last_checkpoint(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    whole, spec = make("whole"), make()

    def kill(row: Row) -> None:
        if row["epoch"] == 3:
            raise Killed

    with pytest.raises(Killed):
        execute(spec, kill)
    assert names(spec) == {CHECKPOINT}
    assert epochs_of(spec) == [3, 4]
    assert epochs_of(whole) == [1, 2, 3, 4]
    assert numbers(spec) == numbers(whole)


def test_short_runs_leave_no_checkpoint_on_their_way(make: Make) -> None:
    spec, seen = make(), set[str]()
    execute(spec, lambda row: seen.update(names(spec)))
    assert seen == {CLAIM}


def full(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_for_a_checkpoint_the_run_goes_on(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    monkeypatch.setattr(checkpoints, "write_file", full)
    spec = make()
    assert epochs_of(spec) == [1, 2, 3, 4]
    assert "no checkpoint: [Errno 28] No space left" in capsys.readouterr().out
    other = make("other")
    interrupted(other, 2)
    assert names(other) == set()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_fails_the_run(
    number: int, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    spec = make()
    monkeypatch.setattr(os, "fsync", refuse)
    outcome = execute(spec, ignore)
    assert (outcome.status, outcome.cause) == ("failed", "disk")
    assert os.strerror(number) in outcome.message
    assert names(spec) == set()


def test_a_checkpoint_that_leads_to_an_error_is_not_tried_twice(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make()
    interrupted(spec, 2)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "write_record", full)
        assert execute(spec, ignore).cause == "disk"
    assert names(spec) == {CHECKPOINT, FAILED}, "with more room the run may go on from it"
    with monkeypatch.context() as patch:
        patch.setattr(worker, "_record", lambda *_: 1 / 0)
        assert execute(spec, ignore).cause == "error"
    assert names(spec) == {FAILED}
    assert epochs_of(spec) == [1, 2, 3, 4]


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


# Task after run


class Watcher:
    """Notes how runs end; may act on epochs."""

    def __init__(self, on_epoch: Callable[[int], None] = lambda epoch: None) -> None:
        self.ends, self.said, self._on_epoch = list[tuple[str, str]](), 0, on_epoch

    def started(self, slot: int, spec: RunSpec) -> None: ...

    def epoch(self, slot: int, epoch: int) -> None:
        self._on_epoch(epoch)

    def ended(self, slot: int, spec: RunSpec, outcome: Outcome) -> None:
        self.ends.append((spec.title, outcome.status))

    def stopping(self) -> None:
        self.said += 1


def test_what_is_not_admitted_is_left_out(make: Make) -> None:
    specs, watcher = [make(name) for name in ("long", "short")], Watcher()
    InThisProcess().run(specs, watcher, lambda pack: pack[0].title == "short")
    assert watcher.ends == [("short", "done")]
    assert not specs[0].folder.exists()
    queue = deque[Pack]((spec,) for spec in [*specs, *specs])
    assert _next(queue, lambda pack: pack[0].title == "short") == (specs[1],)
    assert _next(queue, lambda pack: False) is None
    assert not queue


def test_an_interrupted_launch_starts_nothing_more(make: Make) -> None:
    specs, runner = [make("one"), make("two")], InThisProcess()
    watcher = Watcher(lambda epoch: runner.interrupt())
    runner.run(specs, watcher)
    assert watcher.ends == [("one", "interrupted")]
    assert watcher.said == 1
    assert (specs[0].folder / CHECKPOINT).exists()
    assert not specs[1].folder.exists()


def test_the_second_signal_is_the_last() -> None:
    calls: list[int] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stoppable(lambda: calls.append(1)), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        assert calls == [1]
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# After a death


def dead_owner() -> Owner:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return replace(Owner.here(), pid=process.pid)


def test_the_claim_of_a_dead_process_goes_with_its_failure(make: Make) -> None:
    spec = make()
    take(spec.folder, dead_owner())
    outcome = leave_killed(spec, "SIGKILL")
    assert (outcome.status, outcome.cause) == ("failed", "killed")
    assert names(spec) == {FAILED}


def test_nobody_elses_claim_is_touched(make: Make) -> None:
    spec = make()
    with take(spec.folder, Owner.here()):  # type: ignore[union-attr]
        disclaim(spec)
        assert leave_killed(spec, "SIGKILL").cause == "killed"
        assert names(spec) == {CLAIM}
    take(spec.folder, dead_owner())
    disclaim(spec)
    assert names(spec) == set()
    disclaim(spec)
