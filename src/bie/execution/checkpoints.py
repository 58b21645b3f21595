"""Checkpoints of a run as a file in its folder, and the two ways in which a run is asked to end early."""

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from bie.execution.run_spec import RunSpec
from bie.store.claims import Claim
from bie.store.provenance import provenance
from bie.store.record import CHECKPOINT, write_file
from bie.training.checkpoint import CheckpointHook, State

EVERY = 300.0
"""Seconds between checkpoints: what a killed run can lose."""


class Interrupted(Exception):  # noqa: N818
    """The run was asked to stop and has left a checkpoint."""


class TakenOver(Exception):  # noqa: N818
    """Somebody else has the run by now: this process was out of sight for too long."""


class Checkpoints(CheckpointHook):
    """Keeps the state of a run in ``checkpoint.pt``: every few minutes, and when it is asked to stop.

    A checkpoint that was made for another run, by other code, kernels or packages, or that cannot be read, is
    left alone until the next one replaces it; the streams of noise of one `device` are not those of another.
    Whether to `stop` is asked after each epoch. `n_runs` train together, and share the time.
    """

    def __init__(
        self, spec: RunSpec, claim: Claim, stop: Callable[[], bool], device: str = "cpu", n_runs: int = 1
    ) -> None:
        self._path, self._claim, self._stop = spec.folder / CHECKPOINT, claim, stop
        self._maker, self._n_runs = {**_maker(spec), "device": device}, n_runs
        self._began = self._saved = time.monotonic()
        self.seconds_before, self.interruptions = 0.0, 0

    def start(self) -> State | None:
        """State in the file, if it is one of this run."""
        found = self._read()
        if found is None:
            return None
        self.seconds_before, self.interruptions = found["seconds"], found["interruptions"] + 1
        state: State = found["training"]
        print(f"goes on after epoch {len(state['history'])}", flush=True)
        return state

    def epoch_ended(self, snapshot: Callable[[], State]) -> None:
        """Write a checkpoint if it is time to.

        Raises
        ------
        Interrupted, TakenOver
            The run is not to go on.
        """
        if self._claim.lost:
            raise TakenOver
        stopping = self._stop()
        if stopping or time.monotonic() - self._saved >= EVERY:
            self._save(snapshot())
        if stopping:
            raise Interrupted

    def seconds(self) -> float:
        """Time spent on the run up to now, by earlier processes as far as their work was kept."""
        return self.seconds_before + (time.monotonic() - self._began) / self._n_runs

    def discard(self) -> None:
        """Remove the file, so that the next attempt begins at the beginning."""
        self._path.unlink(missing_ok=True)

    def _save(self, state: State) -> None:
        buffer = io.BytesIO()
        facts = {"maker": self._maker, "seconds": self.seconds(), "interruptions": self.interruptions}
        torch.save({**facts, "training": state}, buffer)
        self._saved = time.monotonic()
        try:
            write_file(self._path, buffer.getvalue())
        except OSError as error:  # a full disk: the run may still succeed
            print(f"no checkpoint: {error}", flush=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = _loaded(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:  # half a file, or none of ours: whatever unpickling stumbles over
            print(f"starts anew: {self._path} cannot be read ({error})", flush=True)
            return None
        if found["maker"] != self._maker:
            print(f"starts anew: {self._path} is of {_difference(found['maker'], self._maker)}", flush=True)
            return None
        return found


def _loaded(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if damaged := archive.testzip():  # torch itself does not look at the checksums
            raise ValueError(f"{damaged} is damaged")
    found: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not isinstance(found.get("maker", {}), dict):
        raise ValueError("it is none of bie's")
    if missing := {"maker", "seconds", "interruptions", "training"} - found.keys():
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return found


def _maker(spec: RunSpec) -> dict[str, Any]:
    """What has to be the same for a run to be continued as if nothing had happened."""
    made_by = provenance()
    return {
        "run": spec.identity["run_id"],
        "source": made_by["source_sha256"],
        "kernels": made_by["kernels"],
        "packages": made_by["packages"],
    }


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    return "other " + ", ".join(name for name in ours if theirs.get(name) != ours[name])
