"""What `bie status` takes on a tree of 100,000 planned runs: seconds of CPU and peak memory.

    python -m benchmarks.status [RUNS] [GRID_POINTS]

The tree is made in a temporary folder: of the runs, seven in ten are done, one in a hundred has failed, and
nothing is known of the others; their tasks belong to an array that Slurm has forgotten.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PER_TASK = 25


def main(n_runs: int = 100_000, n_points: int = 1_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "outputs", "v1", "large")
        make(tree, n_points, n_runs // n_points)
        for option in ("--json", "table"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            asked = [option] if option.startswith("-") else []
            command = [sys.executable, "-m", "bie.status", str(tree), *asked]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{n_runs:,} runs, {option}: {seconds:.1f} s CPU, {after.ru_maxrss / 1024:.0f} MiB")


def make(tree: Path, n_points: int, n_seeds: int) -> None:
    """A launch of all grid points at all seeds, and what their runs have left."""
    points = [point(i) for i in range(n_points)]
    launch = tree / "launches" / "20260101-000000-0000"
    launch.mkdir(parents=True)
    rows = [
        {**known, "seed": seed, "run_id": sha(known["config_id"], seed)}
        for seed in range(n_seeds)
        for known in points
    ]
    table = pa.Table.from_pylist(rows)
    tasks = pa.array([i // PER_TASK for i in range(len(rows))], pa.int32())
    pq.write_table(table.append_column("task", tasks), launch / "plan.parquet")
    about = {"launcher": "local", "host": "elsewhere", "pid": 1, "created": "2026-01-01T00:00:00+00:00"}
    (launch / "launch.json").write_text(json.dumps(about))
    for i, row in enumerate(rows):
        leave(tree / "runs" / "zinb" / "scvi_mine" / row["config_id"][:12] / f"seed={row['seed']:04d}", i)


def point(i: int) -> dict[str, Any]:
    settings = {"model": {"name": "scvi_mine", **{f"key_{k}": k for k in range(40)}}, "mine": {"scale": i}}
    grid = {"mine.scale": i}
    return {
        "dataset": "zinb",
        "model": "scvi_mine",
        "config_id": sha(i),
        "grid": json.dumps(grid),
        "config": json.dumps(settings),
    }


def leave(folder: Path, i: int) -> None:
    if i % 100 < 71:
        folder.mkdir(parents=True)
        why = {"cause": "nan", "message": f"loss is nan at epoch {i}", "traceback": "x" * 2000, "attempt": 1}
        name, content = ("failed.json", json.dumps(why)) if i % 100 == 70 else ("record.json", "")
        (folder / name).write_text(content)


def sha(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
