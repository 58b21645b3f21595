"""A columnar copy of what the tables need of every record, so that only new records are read.

The records stay the truth: the index may be deleted at any time, is not trusted where a file differs from the
one that was read, and is replaced as a whole. A tree that cannot be written to has none.
"""

import contextlib
import multiprocessing
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.files import Files, Stamp, makers
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
AT_ONCE = 500  # records that become one table
MANY = 5_000  # records for which a second process is worth its start
PROCESSES = 2
_MADE_BY = b"made_by"
_NO_STAMP = (-1, -1, -1, -1)


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
    before = _load(files.tree.report / INDEX)
    known = _still_true(before, files) if before is not None else {}
    new = [path for path in files.ends if path not in known]
    table = _joined(_parts(new, files, before, known))
    if new or before is None or len(known) != len(before):
        table = table.take(_in_order(table, files)) if known else table
        _save(table, files)
    return table


def _parts(
    new: Sequence[str], files: Files, before: "pa.Table | None", known: Mapping[str, int]
) -> list["pa.Table"]:
    """What is read now, then what the index has; one part at least."""
    import pyarrow as pa

    parts = list(_read(new, files))
    if before is not None:
        rows = list(known.values())
        parts.append(before if len(rows) == len(before) else before.take(pa.array(rows, pa.int64())))
    return parts or [_columns([])]


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
    """Rows of the files, in order; of many files in several processes, as parsing holds a process's lock."""
    ends = [(path, files.ends[path]) for path in paths]
    parts = [ends[start : start + AT_ONCE] for start in range(0, len(ends), AT_ONCE)]
    read_part = partial(_part, str(files.tree.root), files.settled)
    if len(paths) < MANY or threading.active_count() > 1:  # a server's threads do not take to a fork
        yield from map(read_part, parts)
        return
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("fork")) as pool:
        yield from pool.map(read_part, parts)


def _part(root: str, settled: int, ends: Sequence[tuple[str, Stamp]]) -> "pa.Table":
    parser = Parser()
    return _columns([_row(path, stamp, parser, root, settled) for path, stamp in ends])


def _row(path: str, stamp: Stamp, parser: Parser, root: str, settled: int) -> Row:
    row = parser.record(path) if path.endswith(RECORD) else parser.failure(path)
    if stamp[2] >= settled or row["state"] == "unreadable":  # may be another the next time
        stamp = _NO_STAMP
    row["path"] = path[len(root) + 1 :]
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
        columns |= {f"{part}.{name}": values for name, values in _numbers([row.get(part) for row in rows])}
    return pa.table(columns)


def _numbers(found: "Sequence[Mapping[str, float | None] | None]") -> "Iterator[tuple[str, pa.Array]]":
    """A column of each number: null where it is None, NaN where a row has no such number.

    Rows with the same names, which is nearly all of them, become arrays together.
    """
    import numpy as np
    import pyarrow as pa

    alike: dict[tuple[str, ...], list[int]] = {}
    for row, numbers in enumerate(found):
        if numbers:
            alike.setdefault(tuple(numbers), []).append(row)
    place = {name: i for i, name in enumerate(dict.fromkeys(name for names in alike for name in names))}
    values, null = np.full((len(place), len(found)), np.nan), np.zeros((len(place), len(found)), bool)
    for names, rows in alike.items():
        given = np.array([tuple((found[row] or {}).values()) for row in rows], dtype=float).T
        at = np.ix_([place[name] for name in names], rows)
        values[at], null[at] = given, np.isnan(given)  # JSON has no NaN: it was None
    for name, i in place.items():
        yield name, pa.array(values[i], mask=null[i])


def _joined(parts: Sequence["pa.Table"]) -> "pa.Table":
    """One table; NaN where a part has no such number."""
    import numpy as np
    import pyarrow as pa

    held = [part.column_names for part in parts]  # which Arrow lists anew each time
    names = list(dict.fromkeys(name for own in held for name in own))
    tables = []
    for part, own in zip(parts, map(set, held), strict=True):
        for name in names if len(own) < len(names) else ():
            if name not in own:
                part = part.append_column(name, pa.array(np.full(len(part), np.nan)))
        tables.append(part.select(names))
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
        pq.write_table(noted, buffer, use_dictionary=list(SHARED))  # the others have few alike
        write_file(files.tree.report / INDEX, buffer.getvalue())
