"""A columnar copy of what the tables need of every record, so that only new records are read.

The records stay the truth: the index may be deleted at any time, and is not trusted where a file differs from
the one that was read. It is two files, each replaced as a whole, so that for a hundred new records of 100,000
not all are written anew; which of them has a row does not matter. A tree that cannot be written to has none.
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
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

INDEX, LATER = ".index.parquet", ".index.later.parquet"
"""What was read at first, and what came since, as long as that is little."""
FEW = 0.1  # of the rows
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
    import numpy as np

    parts = [_load(files.tree.report / name) for name in (INDEX, LATER)]
    known = _still_true(parts, files)
    new = [path for path in files.ends if path not in known]
    n_before = sum(map(len, parts))
    table = _joined([part for part in (*parts, *_read(new, files)) if len(part)] or parts[:1])
    place = known | {path: n_before + i for i, path in enumerate(new)}
    row = np.array([place[path] for path in files.ends], dtype=np.int64)
    if len(row) != len(table) or (row != np.arange(len(row))).any():
        table = table.take(row)
    if new or len(row) < (1 - FEW) * n_before:
        _save(table, files, row >= len(parts[0]), len(parts[0]))
    return table


def _load(path: Path) -> "pa.Table":
    """What a file of the index holds, if this code made it; no row otherwise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, read_dictionary=list(SHARED))
        if (file.schema_arrow.metadata or {}).get(_MADE_BY) == makers().encode():
            return file.read()
    except (OSError, pa.ArrowException):
        pass
    return _columns([])


def _still_true(parts: Sequence["pa.Table"], files: Files) -> dict[str, int]:
    """Rows of the parts, one below the other, by path: of the files that are still those that were read."""
    base, start = f"{files.tree.root}/", 0
    known: dict[str, int] = {}
    for table in parts:
        paths = (base + path for path in table["path"].to_pandas())
        stamps = zip(*(table[name].to_numpy().tolist() for name in STAMP), strict=True)
        rows = enumerate(zip(paths, stamps, strict=True), start)
        known |= {path: i for i, (path, stamp) in rows if files.ends.get(path) == stamp}
        start += len(table)
    return known


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


def _save(table: "pa.Table", files: Files, is_new: "NDArray[np.bool_]", n_before: int) -> None:
    """Write the index, or only what it lacks where that is little.

    Parameters
    ----------
    is_new
        Which rows are not in the file `INDEX`, which has `n_before`, among them some of files that are gone.
    """
    if "done" not in table["state"].to_pandas().cat.categories:
        return
    little = is_new.sum() <= FEW * n_before and n_before - (~is_new).sum() <= FEW * n_before
    with contextlib.suppress(OSError):  # a tree of somebody else's, or a full disk
        files.tree.report.mkdir(parents=True, exist_ok=True)
        if little:
            _write(table.filter(is_new), files.tree.report / LATER)
        else:
            _write(table, files.tree.report / INDEX)
            (files.tree.report / LATER).unlink(missing_ok=True)


def _write(table: "pa.Table", path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    noted = table.replace_schema_metadata({_MADE_BY: makers().encode()})
    buffer = pa.BufferOutputStream()
    how: Any = {"use_dictionary": list(SHARED), "write_statistics": False}  # the others have few alike
    pq.write_table(noted, buffer, **how)
    write_file(path, buffer.getvalue())
