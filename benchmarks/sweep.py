"""What a large sweep costs besides its runs: planning, launching, status (tables: `benchmarks.records`).

    python -m benchmarks.sweep [--runs 100000] [--hydra-python ENVIRONMENT/bin/python] [--write]

The sweep is a real one, planned and launched by the commands of this package; only ``sbatch`` is a stand-in,
and the records are copies of a real one. Each command is a process of its own. Beside it,
up to the submission: Hydra's own launcher for Slurm with a sweep of 1,000 tasks that do nothing; its
environment holds hydra-core and hydra-submitit-launcher. ``--write`` puts the tables into the documentation.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.page import DOCS, processor, put

TREE = Path("outputs", "v1", "adhoc")
SMALL = ("model=scvi_mine", "dataset.size=smoke", "train=smoke")
SEEDS, STEPS = 100, 10
DONE = 70  # of a hundred runs, when the status is asked for; the one after them has failed
N_SMALL = 1_000  # runs of the sweep that Hydra's launcher gets too: one array, by Slurm's defaults

_SBATCH = """\
#!/bin/sh
# notes the CPU time (ticks) and the peak memory (kB) of who calls it
cat /proc/$PPID/stat >"$SUBMITTED.part"
grep VmHWM /proc/$PPID/status >>"$SUBMITTED.part"
mv "$SUBMITTED.part" "$SUBMITTED"
case "$*" in *--parsable*) echo 1 ;; *) echo "Submitted batch job 1" ;; esac
"""


@dataclass
class Cost:
    """CPU and wall time in seconds, peak memory in MiB, of one command."""

    cpu: float
    wall: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--hydra-python", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.runs % (SEEDS * STEPS):
        parser.error(f"--runs: a multiple of {SEEDS * STEPS}")
    with tempfile.TemporaryDirectory() as folder:
        stand_in(Path(folder))
        parts = [large(Path(folder), arguments.runs)]
        if arguments.hydra_python:
            parts.append(beside_hydra(Path(folder), arguments.hydra_python.absolute()))
        text = "\n\n".join([*parts, where()])
        print(text, flush=True)
        if arguments.write:
            put(DOCS / "performance.md", "benchmarks.sweep", text)
        print("removing the files", file=sys.stderr)


def where() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("bie", "pandas", "pyarrow", "hydra-core"))
    return f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}. {versions}."


def stand_in(folder: Path) -> None:
    """A Slurm that takes every job and then knows of none."""
    stubs = {"sbatch": _SBATCH} | dict.fromkeys(("srun", "squeue", "sacct", "scontrol"), "#!/bin/sh\n")
    (folder / "bin").mkdir()
    for name, text in stubs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    os.environ["SUBMITTED"] = str(folder / "submitted")


def bie(folder: Path, *command: str) -> Cost:
    """Carry out ``python -m bie.COMMAND`` in a folder."""
    start = time.perf_counter()
    # a child starts with the peak memory of its parent: this process must stay small
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{command}: {said}")
    wall = time.perf_counter() - start
    cost = Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)
    print(command[0], cost, file=sys.stderr, flush=True)
    return cost


# ---- a large sweep


def large(folder: Path, n_runs: int) -> str:
    bie(folder, "bie.run", *SMALL, "train.epochs=2")
    sample = next((folder / TREE / "runs").rglob("record.json"))
    pattern = sample.rename(folder / "record.json")
    sweep = [*SMALL, f"mine.scale=range({n_runs // SEEDS // STEPS})", f"mine.steps=range(1,{STEPS + 1})"]
    sweep += [f"seed=range({SEEDS})", "hydra/launcher=submitit_slurm"]
    costs = {
        "`bie plan`": (bie(folder, "bie.plan", *sweep), "30 s"),
        "`bie run -m`: plan, launch folder, submission": (bie(folder, "bie.run", "-m", *sweep), "–"),
    }
    leave(folder / TREE, pattern)
    costs["`bie status`, first"] = bie(folder, "bie.status", str(TREE)), "5 s"
    bie(folder, "bie.aggregate", str(TREE), "--metrics", "ari")
    costs["`bie status`, after `bie aggregate`"] = bie(folder, "bie.status", str(TREE)), "5 s"
    rows = [
        f"| {name} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:,.0f} | {limit} |"
        for name, (cost, limit) in costs.items()
    ]
    return "\n".join(
        [f"| {n_runs:,} runs | s (CPU) | s (wall) | MiB | limit |", "|---|---|---|---|---|", *rows]
    )


def leave(tree: Path, pattern: Path) -> None:
    """What the runs of a sweep on its way have left, written by another process: this one stays small."""
    process = multiprocessing.get_context("spawn").Process(target=_leave, args=(tree, pattern))
    process.start()
    process.join()
    assert process.exitcode == 0


def _leave(tree: Path, pattern: Path) -> None:
    record = json.loads(pattern.read_text())
    why = {"cause": "nan", "message": "loss is nan", "traceback": "x" * 2000, "attempt": 1}
    for i, row in enumerate(planned(tree)):
        if i % 100 > DONE:
            continue
        place = f"{row['dataset']}/{row['model']}/{row['config_id'][:12]}/seed={row['seed']:04d}"
        folder = tree / "runs" / place
        folder.mkdir(parents=True, exist_ok=True)
        if i % 100 == DONE:
            (folder / "failed.json").write_text(json.dumps(why))
        else:
            known = {name: row[name] for name in ("run_id", "config_id", "seed")}
            known["config"] = json.loads(row["config"]) | {"seed": row["seed"]}
            (folder / "record.json").write_text(json.dumps(record | known, indent=1))


def planned(tree: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    (plan,) = [path for path in tree.glob("launches/*/plan.parquet") if pq.read_metadata(path).num_rows > 1]
    for batch in pq.ParquetFile(plan).iter_batches(1_000):
        yield from batch.to_pylist()


# ---- beside Hydra's own launcher


def beside_hydra(folder: Path, python: Path) -> str:
    sweep = [f"mine.scale=range({N_SMALL // SEEDS})", f"seed=range({SEEDS})", "hydra/launcher=submitit_slurm"]
    ours_in, theirs_in = folder / "ours", folder / "theirs"
    ours_in.mkdir()
    theirs_in.mkdir()
    ours = bie(ours_in, "bie.run", "-m", *SMALL, *sweep)
    theirs = submitted_by_hydra(theirs_in, python)
    listed = [("bie", ours, ours_in / TREE / "launches"), (versions_of(python), theirs, theirs_in)]
    rows = [row(name, cost, where) for name, cost, where in listed]
    head = f"| {N_SMALL:,} runs, up to `sbatch` | s (CPU) | ms (CPU) a run | s (wall) | MiB | files | kB |"
    return "\n".join([head, "|---" * 7 + "|", *rows])


def row(name: str, cost: Cost, folder: Path) -> str:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    per_run = 1000 * cost.cpu / N_SMALL
    costs = f"{cost.cpu:.1f} | {per_run:.1f} | {cost.wall:.1f} | {cost.memory:,.0f}"
    return f"| {name} | {costs} | {len(sizes):,} | {sum(sizes) / 1000:,.0f} |"


def versions_of(python: Path) -> str:
    names = ("hydra-core", "hydra-submitit-launcher", "submitit")
    asked = f"from importlib.metadata import version; print(*map(version, {names}))"
    said = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    return ", ".join(f"{name} {number}" for name, number in zip(names, said, strict=True))


def submitted_by_hydra(folder: Path, python: Path) -> Cost:
    """Up to the call of ``sbatch``; it would then wait for its jobs, and is ended."""
    note = Path(os.environ["SUBMITTED"])
    note.unlink(missing_ok=True)
    sweep = [
        "-m",
        "hydra/launcher=submitit_slurm",
        f"scale=range({N_SMALL // SEEDS})",
        f"seed=range({SEEDS})",
    ]
    program = Path(__file__).with_name("hydra_task.py")
    start = time.perf_counter()
    with subprocess.Popen([python, program, *sweep], cwd=folder, stdout=subprocess.DEVNULL) as process:
        while not note.exists():
            assert process.poll() is None, "Hydra's launcher ended before it called sbatch"
            time.sleep(0.05)
        wall = time.perf_counter() - start
        time.sleep(5)  # it names its files after the job
        process.kill()
    stat, memory = note.read_text().splitlines()
    ticks = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    cost = Cost(ticks / os.sysconf("SC_CLK_TCK"), wall, int(memory.split()[1]) / 1024)
    print("hydra", cost, file=sys.stderr, flush=True)
    return cost


if __name__ == "__main__":
    main()
