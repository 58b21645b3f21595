"""One run from claim to record, and everything that can come in between."""

import json
import time

import pytest

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
