"""A columnar copy of what the tables need of every record, so that only new records are read.

The records stay the truth: the index may be deleted at any time, is not trusted where a file differs from the
one that was read, and is replaced as a whole. A tree that cannot be written to has none.
"""

import contextlib
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.files import Files, makers
from bie.analysis.parse import NUMBERS, Parser, Row
from bie.store.record import RECORD, write_file

if TYPE_CHECKING:
    import pyarrow as pa

INDEX = ".index.parquet"
SHARED = (
    "state",
    "config_id",
    "dataset",
    "model",
    "code",
    "packages",
    "missing",
    "notes",
    "config",
    "device",
    "cause",
)
TEXTS = ("path", "run_id", "split_id", "message", "by_type")
STAMP = ("inode", "size", "modified", "changed")
AT_ONCE = 500  # records a thread reads before it hands them on
THREADS = 2  # to read from a file server is mostly to wait; to parse holds the lock of the interpreter
_MADE_BY = b"made_by"
_NO_STAMP = (-1, -1, -1, -1)
_NOTHING: dict[str, float] = {}


def read_index(files: Files) -> "pa.Table":
    """Every record and failure of a study, read anew only where its file is not the one of the index.

    Returns
    -------
    pyarrow.Table
        A row per file in the order of `files`: `SHARED` and `TEXTS`, ``path`` below the tree, ``seed``, a
        column ``split.metric`` for each number (null: missing for the reason in ``missing``; NaN: not in the
        record) and ``timing.name`` for each time. Of a failure and of an unreadable file only ``path``,
        ``dataset``, ``model``, ``config_id`` (the short one), ``seed``, ``cause`` and ``message`` are known.
    """
    import pyarrow as pa

    before = _load(files.tree.report / INDEX)
    known = _still_true(before, files) if before is not None else {}
    new = [path for path in files.ends if path not in known]
    parts = list(_read(new, files))
    if before is not None:
        parts.append(before.take(pa.array(list(known.values()), pa.int64())))
    table = _joined(parts or [_columns([])])
    if new or before is None or len(known) != len(before):
        table = table.take(_in_order(table, files))
        _save(table, files)
    return table


def _load(path: Path) -> "pa.Table | None":
    """The index that is there, if this code made it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, read_dictionary=list(SHARED))
        if (file.schema_arrow.metadata or {}).get(_MADE_BY) != makers().encode():
            return None
        return file.read()
    except (OSError, pa.ArrowException):
        return None


def _still_true(table: "pa.Table", files: Files) -> dict[str, int]:
    """Rows of the index by path, of the files that are still those that were read."""
    stamps = zip(*(table[name].to_pylist() for name in STAMP), strict=True)
    base = f"{files.tree.root}/"
    rows = enumerate(zip(table["path"].to_pylist(), stamps, strict=True))
    return {base + path: i for i, (path, stamp) in rows if files.ends.get(base + path) == stamp}


def _read(paths: Sequence[str], files: Files) -> "Iterable[pa.Table]":
    parser = Parser()
    parts = [paths[start : start + AT_ONCE] for start in range(0, len(paths), AT_ONCE)]
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda part: _columns([_row(path, parser, files) for path in part]), parts)


def _row(path: str, parser: Parser, files: Files) -> Row:
    row = parser.record(path) if path.endswith(RECORD) else parser.failure(path)
    stamp = files.ends[path]
    if stamp[2] >= files.settled or row["state"] == "unreadable":  # may be another the next time
        stamp = _NO_STAMP
    row["path"] = path[len(str(files.tree.root)) + 1 :]
    row["stamp"] = stamp
    return row


def _columns(rows: Sequence[Row]) -> "pa.Table":
    import pyarrow as pa

    text, shared = pa.string(), pa.dictionary(pa.int32(), pa.string())
    columns = {name: pa.array([row.get(name) for row in rows], text) for name in TEXTS}
    columns |= {name: pa.array([row.get(name) for row in rows], shared) for name in SHARED}
    columns["seed"] = pa.array([row["seed"] for row in rows], pa.int64())
    for place, name in enumerate(STAMP):
        columns[name] = pa.array([row["stamp"][place] for row in rows], pa.int64())
    for part in NUMBERS:
        found = [row.get(part, _NOTHING) for row in rows]
        for name in dict.fromkeys(name for numbers in found for name in numbers):
            values = [numbers.get(name, math.nan) for numbers in found]
            columns[f"{part}.{name}"] = pa.array(values, pa.float64())
    return pa.table(columns)


def _joined(parts: Sequence["pa.Table"]) -> "pa.Table":
    """One table; NaN where a part has no such number."""
    import numpy as np
    import pyarrow as pa

    names = list(dict.fromkeys(name for part in parts for name in part.column_names))
    whole = []
    for part in parts:
        absent = pa.array(np.full(len(part), np.nan))
        whole.append([part[name] if name in part.column_names else absent for name in names])
    tables = [pa.table(dict(zip(names, columns, strict=True))) for columns in whole]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _in_order(table: "pa.Table", files: Files) -> Any:
    import numpy as np

    place = {path: i for i, path in enumerate(files.ends)}
    base = f"{files.tree.root}/"
    return np.argsort([place[base + path] for path in table["path"].to_pylist()])


def _save(table: "pa.Table", files: Files) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "done" not in table["state"].to_pylist():
        return
    noted = table.replace_schema_metadata({_MADE_BY: makers().encode()})
    with contextlib.suppress(OSError):  # a tree of somebody else's, or a full disk
        files.tree.report.mkdir(parents=True, exist_ok=True)
        buffer = pa.BufferOutputStream()
        pq.write_table(noted, buffer)
        write_file(files.tree.report / INDEX, buffer.getvalue())
