"""One run as a launching process hands it out, and how it ended: no torch here, the launcher needs none."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from bie.config import RunConfig
from bie.store.claims import CLAIM, take
from bie.store.identity import run_id, split_id
from bie.store.owner import Owner
from bie.store.record import RECORD, SCHEMA, lacking, read, write_failure


@dataclass(frozen=True)
class RunSpec:
    """One run: what to compute and where to leave it."""

    title: str  # one line for people
    config: RunConfig  # checked, seed included
    plain: dict[str, Any]  # scientific config without the seed
    config_id: str
    prepared: Path  # folder of the prepared cells
    origin: dict[str, Any]  # where the dataset came from, for the provenance
    folder: Path  # the run's own
    stop: Mapping[str, Any] | None = None
    """What makes the run superfluous, see `bie.execution.stopping`; None: nothing does."""

    @property
    def identity(self) -> dict[str, Any]:
        """The identity as the first entries of a record."""
        seed = self.config.seed
        ids = {
            "run_id": run_id(self.plain, seed),
            "config_id": self.config_id,
            "split_id": split_id(self.plain, seed),
        }
        return {"schema": SCHEMA, **ids, "seed": seed}

    def has_record(self) -> bool:
        """Whether there is a record by now."""
        return (self.folder / RECORD).exists()

    def is_done(self) -> bool:
        """Whether there is a record by now, and with it the files that are asked for."""
        return self.has_record() and not lacking(self.folder, self.config)


Status = Literal["done", "before", "elsewhere", "decided", "failed", "interrupted", "fruitless"]
"""``before``: there was a record; ``elsewhere``: somebody else is at it; ``decided``: it is not wanted any
more; ``interrupted``: stopped on demand, after an epoch, from where it can go on, or before its training;
``fruitless``: of a whole task, see `bie.launching.launched.Event`."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Status
    cause: str | None = None  # short class of a failure
    message: str = ""  # what went wrong, in words
    scores: dict[str, float | None] = field(default_factory=dict)  # metrics of the test cells
    seconds: float = 0.0  # what the run took, all incarnations together

    @property
    def midway(self) -> bool:
        """Whether the run was stopped on demand when it had begun."""
        return self.status == "interrupted" and self.seconds > 0


class Observer(Protocol):
    """Who wants to know how the runs of a pool get on."""

    def started(self, spec: RunSpec) -> None:
        """A worker took up a run."""

    def epoch(self, spec: RunSpec, epoch: int) -> None:
        """A worker finished an epoch of its run."""

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """A run is over, in one way or another."""

    def stopping(self) -> None:
        """The launch was asked to stop; what runs goes on to the end of its epoch."""


def leave_failure(spec: RunSpec, cause: str, message: str, traceback: str = "") -> Outcome:
    """Record a failure, as far as that is possible."""
    why = {"cause": cause, "message": message, "traceback": traceback}
    try:
        write_failure(spec.folder, {**spec.identity, "status": "failed", **why})
    except OSError as error:  # a full disk must not end the sweep; whoever called still reports the run
        print(f"cannot write {spec.folder}/failed.json: {error}", flush=True)
    return Outcome("failed", cause, message)


def leave_killed(spec: RunSpec, message: str) -> Outcome:
    """Record the failure of a run whose process is gone, claim and all, unless somebody is at it again."""
    try:
        claim = take(spec.folder, Owner.here())
    except OSError as error:
        print(f"cannot claim {spec.folder}: {error}", flush=True)
        return Outcome("failed", "killed", message)
    if claim is None:
        return Outcome("failed", "killed", message)
    with claim:
        return leave_failure(spec, "killed", message)


def disclaim(spec: RunSpec) -> None:
    """Take away the claim of a process that is gone."""
    with contextlib.suppress(OSError):
        claim = take(spec.folder, Owner.here()) if (spec.folder / CLAIM).exists() else None
        if claim:
            claim.release()


def was_at(spec: RunSpec, pid: int | None) -> bool:
    """Whether the claim on a run is that of a process of this machine, gone or not."""
    claim = read(spec.folder / CLAIM) or {}
    return claim.get("pid") == pid and claim.get("host") == Owner.here().host
