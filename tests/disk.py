"""A study on disk as its launches and runs leave it, and a Slurm whose answers are files."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bie.store.paths import Tree

CAPTURED = Path(__file__).parent / "captured"
NOBODY = 2**22 + 1  # no process has this number
LAUNCH = "20260101-000000-7f3a"


def sha(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Point:
    """A grid point of scvi_mine on zinb."""

    scale: int = 1000

    @property
    def id(self) -> str:
        return sha(self.scale)

    def run_id(self, seed: int) -> str:
        return sha(self.scale, seed)


@dataclass
class Disk:
    """Writes launches and what their runs leave, below `root`."""

    root: Path

    @property
    def tree(self) -> Tree:
        return Tree(self.root)

    def launch(
        self,
        runs: Sequence[tuple[Point, int, int]],
        about: Mapping[str, Any] = {},
        jobs: Sequence[Mapping[str, Any]] = (),
        name: str = LAUNCH,
    ) -> Path:
        """A launch of (point, seed, task)."""
        folder = self.root / "launches" / name
        (folder / "logs").mkdir(parents=True)
        rows = [
            {
                "dataset": "zinb",
                "model": "scvi_mine",
                "config_id": point.id,
                "seed": seed,
                "run_id": point.run_id(seed),
                "grid": json.dumps({"mine.scale": point.scale}),
                "config": json.dumps({"model": {"name": "scvi_mine"}, "mine": {"scale": point.scale}}),
                "task": task,
            }
            for point, seed, task in runs
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / "plan.parquet")
        (folder / "argv").write_text(json.dumps(["-m", "model=scvi_mine", "seed=range(3)"]))
        self._note(folder, about, jobs)
        return folder

    def on_slurm(self, runs: Sequence[tuple[Point, int, int]], *jobs: tuple[int, int, int]) -> Path:
        """A launch whose arrays are (job id, first task, number of tasks)."""
        noted = [
            {"kind": "runs", "job_id": str(j), "first_task": first, "n_tasks": n} for j, first, n in jobs
        ]
        return self.launch(runs, {"launcher": "submitit_slurm"}, noted)

    def _note(self, folder: Path, about: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]) -> None:
        known = {
            "launcher": "local",
            "host": platform.node(),
            "pid": NOBODY,
            "created": datetime.now(UTC).isoformat(),
        }
        (folder / "launch.json").write_text(json.dumps({**known, **about}))
        if jobs:
            noted = [{"log": str(folder / "logs" / "%j.log"), **job} for job in jobs]
            (folder / "jobs.json").write_text(json.dumps(noted))

    def run(self, point: Point, seed: int, name: str, content: Mapping[str, Any] | None = None) -> Path:
        """A file in the folder of a run."""
        folder = self.root / "runs" / "zinb" / "scvi_mine" / point.id[:12] / f"seed={seed:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        known = self.record(point, seed) if name == "record.json" else {}
        path.write_text(json.dumps(known if content is None else content))
        return path

    def record(self, point: Point, seed: int) -> dict[str, Any]:
        """What the tables need of a record."""
        return {
            "schema": 1,
            "run_id": point.run_id(seed),
            "config_id": point.id,
            "split_id": sha(seed),
            "seed": seed,
            "config": {"dataset": {"name": "zinb"}, "model": {"name": "scvi_mine"}},
            "metrics": {"train": {"ari": 0.5}, "test": {"ari": 0.25}},
            "timing": {"total_s": 12.0},
            "provenance": {"host": "n1", "device": {"type": "cpu"}},
        }

    def failure(self, point: Point, seed: int, cause: str, message: str, attempt: int = 1) -> Path:
        why = {"cause": cause, "message": message, "traceback": f"Traceback\n{message}", "attempt": attempt}
        return self.run(point, seed, "failed.json", why)


@pytest.fixture
def captured() -> Path:
    return CAPTURED


@pytest.fixture
def point() -> Point:
    return Point()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "outputs" / "v1" / "adhoc")


@dataclass
class FakeSlurm:
    """Commands that print what a real Slurm 22.05 printed; `calls` holds what they were asked.

    The array 18 has ended (done, exit 1, kill -9, scancel, exit 137), of 19 the node of task 0 died, 1 runs
    and 2 and 3 wait, 20 waits again after its node died, 21 ran out of time.
    """

    folder: Path

    def command(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/calls\n{script}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget(self) -> None:
        """The jobs ended long ago."""
        self.command("squeue", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
        self.command("scontrol", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')

    def no_accounting(self) -> None:
        self.command("sacct", 'echo "Slurm accounting storage is disabled" >&2; exit 1')


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "bin")
    fake.folder.mkdir()
    unknown = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
    fake.command("squeue", f"cat {CAPTURED}/squeue.txt")
    fake.command("scontrol", f'grep "ArrayJobId=$4 " {CAPTURED}/scontrol.txt || {{ {unknown}; }}')
    fake.command("sacct", f"cat {CAPTURED}/sacct.txt")
    fake.command("scancel", "")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake
