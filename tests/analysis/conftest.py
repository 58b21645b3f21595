"""A study on disk, written by hand after the contract, not with the code under test."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PACKAGES = {"numpy": "2.4.0", "torch": "2.13.0"}


def sha(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Point:
    """A grid point: what its config says, and what its launch swept."""

    dataset: str = "zinb"
    model: str = "scvi"
    grid: tuple[tuple[str, Any], ...] = ()
    other: tuple[tuple[str, Any], ...] = ()

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "dataset": {"name": self.dataset, "sha256": sha(self.dataset, *self.other)},
            "model": {"name": self.model, "n_latent": 10},
        }
        for key, value in (*self.grid, *self.other):
            section, _, leaf = key.partition(".")
            if leaf:
                config.setdefault(section, {})[leaf] = value
            else:
                config[section] = value  # a key of the root
        return config

    @property
    def id(self) -> str:
        return sha(self.config)


@dataclass
class Disk:
    """Writes records, failures and plans of a study below `root`."""

    root: Path

    def folder(self, point: Point, seed: int) -> Path:
        folder = self.root / "runs" / point.dataset / point.model / point.id[:12] / f"seed={seed:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def record(
        self,
        point: Point,
        seed: int,
        test: dict[str, float | None],
        train: dict[str, float | None] | None = None,
        missing: dict[str, str] | None = None,
        notes: dict[str, str] | None = None,
        by_type: dict[str, dict[str, float]] | None = None,
        **origin: Any,
    ) -> Path:
        origin = {"git_commit": "a" * 40, "source_sha256": "b" * 64, "packages": PACKAGES} | origin
        record = {
            "schema": 1,
            "run_id": sha(point.id, seed),
            "config_id": point.id,
            "split_id": sha(point.dataset, seed),
            "status": "done",
            "seed": seed,
            "config": {**point.config, "seed": seed},
            "metrics": {"train": test if train is None else train, "test": test},
            "missing": missing or {},
            "notes": notes or {},
            **({"ot_ratio_by_type": by_type} if by_type else {}),
            "history_tail": {},
            "timing": {"total": 1.5},
            "provenance": origin,
        }
        path = self.folder(point, seed) / "record.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        return path

    def failure(self, point: Point, seed: int, cause: str) -> Path:
        path = self.folder(point, seed) / "failed.json"
        path.write_text(json.dumps({"cause": cause, "message": "", "traceback": "", "attempt": 1}))
        return path

    def plan(
        self, points: Sequence[Point], seeds: Sequence[int], launch: str = "20250101-000000-0000"
    ) -> None:
        rows = [
            {
                "dataset": point.dataset,
                "model": point.model,
                "config_id": point.id,
                "seed": seed,
                "run_id": sha(point.id, seed),
                "task": 0,
                "grid": json.dumps(dict(point.grid)),
                "config": json.dumps(point.config),
            }
            for seed in seeds
            for point in points
        ]
        folder = self.root / "launches" / launch
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(folder / "plan.parquet")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "outputs" / "v1" / "adhoc")


@pytest.fixture
def point() -> Callable[..., Point]:
    def make(
        model: str = "scvi", *, dataset: str = "zinb", other: dict[str, Any] | None = None, **grid: Any
    ) -> Point:
        dotted = {key.replace("__", "."): value for key, value in grid.items()}
        return Point(dataset, model, tuple(dotted.items()), tuple((other or {}).items()))

    return make
