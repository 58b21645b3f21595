"""One folder per launch: what was asked for, by which code, in which environment, and how its tasks get on.

``plan.parquet`` has a row per run and names its task, ``points.json`` says what a run of each grid point
is, ``launch.json`` who launched how, ``jobs.json`` which jobs carry the tasks out, ``source.zip`` the code
they run, ``uncommitted.diff`` how that differs from its commit, ``environment`` the installed packages. While
it runs there come ``logs/``, ``journal/<task>.jsonl`` (a line per run that ended), ``ended/<task>`` (how the
task's process ended) and perhaps ``stopped.json`` and ``canary/`` (what its runs left).
"""

import contextlib
import io
import json
import os
import platform
import secrets
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.errors import BadInput
from bie.store.paths import Tree
from bie.store.provenance import FROZEN, git, installed_packages, source_files, uncommitted
from bie.store.record import as_json, read, write_file

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

PLAN = "plan.parquet"
POINTS, LAUNCH, JOBS, STOPPED = "points.json", "launch.json", "jobs.json", "stopped.json"
SOURCE, ENVIRONMENT, DIFF = "source.zip", "environment", "uncommitted.diff"
ENDED, CANARY = "ended", "canary"
COLUMNS = ("dataset", "model", "config_id", "seed", "run_id", "grid", "config")
TASK = "task"
BEFORE = -1
"""Task of a run that was done before the launch."""


class Exit(IntEnum):
    """What the process of a task ends with, beside 0."""

    FAILED = 1  # some runs failed
    DISK = 73  # it was full, so that no ``failed.json`` may tell it
    REQUEUE = 75  # time or node are taken away before the task is through: it goes back into the queue
    TIMEOUT = 124  # the time was over again and again without any progress
    KILLED = 137
    TERMINATED = 143  # cancelled


def open_launch(
    tree: Tree,
    argv: Sequence[str],
    plan: Mapping[str, Sequence[Any]],
    points: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> Path:
    """Create the folder of a launch and freeze in it what is about to run, its plan last.

    So a launch that has a plan has all of it. A plan is a list per name in `COLUMNS` and `TASK`, an entry per
    run in the order of the launch; ``grid`` and ``config`` are JSON texts, of which parquet stores each
    distinct one once. `points` say by config_id what a run of that grid point is.
    """
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
    folder = tree.launches / name
    for inner in ("logs", ENDED):
        (folder / inner).mkdir(parents=True)
    write_file(folder / "argv", (json.dumps(list(argv)) + "\n").encode())
    write_file(folder / ENVIRONMENT, ("\n".join(installed_packages()) + "\n").encode())
    write_file(folder / SOURCE, _snapshot())
    if patch := uncommitted():
        write_file(folder / DIFF, patch.encode())
    write_file(folder / POINTS, as_json(points))
    write_file(folder / LAUNCH, as_json(_facts(settings)))
    write_file(folder / PLAN, _parquet(plan))
    return folder


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    from bie.config import launcher_kind  # pydantic and Hydra take longer than to read a large study's index

    return {
        "launcher": launcher_kind(settings["hydra"]["launcher"]),
        "settings": settings,
        "host": platform.node(),
        "pid": os.getpid(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "cwd": str(Path.cwd()),
    }


def add_jobs(folder: Path, *new: Mapping[str, Any]) -> None:
    """Note jobs of the launch in ``jobs.json``. Only the launching process writes it."""
    write_file(folder / JOBS, as_json([*jobs(folder), *map(dict, new)]))


def jobs(folder: Path) -> list[dict[str, Any]]:
    """The jobs of a launch: ``kind``, ``first_task``, ``n_tasks``, and ``job_id`` or ``pid`` and ``host``."""
    path = folder / JOBS
    try:
        listed = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(job, dict) for job in listed):
        raise BadInput(
            f"{path} cannot be read: which jobs are at work is not known. See squeue, then remove it"
        )
    return listed


def note_end(folder: Path, task: str, code: int) -> None:
    """Note the exit code of a task. A full disk costs the note, not the task."""
    try:
        write_file(folder / ENDED / task, as_json({"code": code}))
    except OSError as error:
        print(f"cannot note how task {task} ended: {error}", flush=True)


def noted_end(folder: Path, task: str) -> int | None:
    """Exit code that a task left behind when it last ended; None where there is none."""
    code = (read(folder / ENDED / task) or {}).get("code")
    return code if isinstance(code, int) else None


def forget_end(folder: Path, task: str) -> None:
    """Take the note away: the task runs again."""
    with contextlib.suppress(OSError):
        (folder / ENDED / task).unlink(missing_ok=True)


def stop(folder: Path, reason: str) -> bool:
    """Note that no further run of the launch is to start; False if that was noted before."""
    if (folder / STOPPED).exists():
        return False
    write_file(folder / STOPPED, as_json({"reason": reason}))
    return True


def stopped(folder: Path) -> str | None:
    """Why a launch was stopped; None if it was not."""
    note = read(folder / STOPPED)
    return None if note is None else str(note.get("reason", "no reason noted"))


def _parquet(plan: Mapping[str, Sequence[Any]]) -> bytes:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    numbers = {"seed": np.int64, TASK: np.int32}
    columns = {name: _texts(plan[name]) for name in COLUMNS if name not in numbers}
    columns |= {name: _numbers(np.array(plan[name], dtype)) for name, dtype in numbers.items()}
    pq.write_table(pa.table({name: columns[name] for name in (*COLUMNS, TASK)}), buffer)
    return buffer.getvalue()


def _texts(values: Sequence[str]) -> Any:
    """Do what `pyarrow.array` does, which loads pandas: half a second before a run can start."""
    import pyarrow as pa

    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _numbers(values: "NDArray[np.integer]") -> Any:
    """Do the same for whole numbers."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def launch_folders(tree: Tree) -> list[Path]:
    """Folders of the launches of a study, in the order in which they were made."""
    return [path.parent for path in sorted(tree.launches.glob(f"*/{PLAN}"))]


def read_plan(folder: Path, names: Sequence[str], shared: Sequence[str] = ()) -> "pa.Table":
    """Columns of a launch's plan, a row per run in its order.

    Texts of the columns `shared`, which many rows have in common, are held once.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / PLAN
    try:
        with pq.ParquetFile(path, read_dictionary=list(shared)) as file:  # read_table would load pandas
            return file.read(list(names))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        remedy = f"Its runs are all there: give its command again, then move {folder} away"
        raise BadInput(f"{path} cannot be read ({error}). {remedy}") from None


def planned_tasks(folder: Path, names: Sequence[str] = ("config_id", "seed")) -> list[tuple[Any, ...]]:
    """Some columns and the task of every run of a launch, in its order."""
    table = read_plan(folder, (*names, TASK))
    return list(zip(*(table[name].to_pylist() for name in (*names, TASK)), strict=True))


def _snapshot() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in source_files():
            archive.write(path, name)
        archive.writestr(FROZEN, json.dumps(git()))
    return buffer.getvalue()


def planned(tree: Tree) -> "pd.DataFrame":
    """Every run that any launch of the study asked for, once, with the `COLUMNS` of the plan.

    A run asked for by several launches keeps its first row.
    """
    import pandas as pd
    import pyarrow as pa

    texts = [name for name in COLUMNS if name not in ("seed", "run_id")]
    tables = [read_plan(folder, COLUMNS, texts) for folder in launch_folders(tree)]
    if not tables:
        return pd.DataFrame({name: [] for name in COLUMNS})
    frame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
    first: pd.DataFrame = frame.drop_duplicates("run_id", ignore_index=True)
    return first


def planned_points(tree: Tree) -> dict[str, dict[Any, Any]]:
    """The first row of `planned` for each ``config_id``; its ``grid`` and ``config`` are JSON texts."""
    rows = planned(tree).drop_duplicates("config_id").to_dict("records")
    return {row["config_id"]: row for row in rows}


def asked_of(tree: Tree) -> dict[str, Any]:
    """Section ``study`` of the settings of the newest launch; empty where no launch tells."""
    for path in sorted(tree.launches.glob(f"*/{LAUNCH}"), reverse=True):
        found = (read(path) or {}).get("settings", {}).get("study")
        if found:
            return dict(found)
    return {}
