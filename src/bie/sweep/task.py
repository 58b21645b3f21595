"""One run as a launching process hands it out: no torch here, the launcher never needs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bie.config import RunConfig
from bie.store.identity import run_id, split_id
from bie.store.record import write_failure


@dataclass(frozen=True)
class Task:
    """One run: what to compute and where to leave it.

    Attributes
    ----------
    title
        One line for people.
    config
        Checked configuration, seed included.
    plain, config_id
        Scientific config without the seed, and its identity.
    shelf
        Folder of the prepared cells.
    origin
        Where the dataset came from, for the provenance.
    folder
        The run's own folder.
    """

    title: str
    config: RunConfig
    plain: dict[str, Any]
    config_id: str
    shelf: Path
    origin: dict[str, Any]
    folder: Path

    @property
    def identity(self) -> dict[str, Any]:
        """The identity as the first entries of a record."""
        seed = self.config.seed
        ids = {
            "run_id": run_id(self.plain, seed),
            "config_id": self.config_id,
            "split_id": split_id(self.plain, seed),
        }
        return {"schema": 1, **ids, "seed": seed}


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes
    ----------
    cause
        Short class of the failure; None where the run is done.
    scores
        Metrics of the test cells.
    """

    cause: str | None
    message: str
    scores: dict[str, float | None]
    seconds: float


def leave_failure(task: Task, cause: str, message: str, traceback: str = "") -> Outcome:
    """Record a failure, as far as that is possible."""
    why = {"cause": cause, "message": message, "traceback": traceback}
    try:
        write_failure(task.folder, {**task.identity, "status": "failed", **why})
    except OSError as error:  # a full disk must not end the sweep; whoever called still reports the run
        print(f"cannot write {task.folder}/failed.json: {error}", flush=True)
    return Outcome(cause, message, {}, 0.0)
