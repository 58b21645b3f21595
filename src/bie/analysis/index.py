"""A columnar copy of what the tables need of every record, so that only new records are read.

The records stay the truth: the index may be deleted at any time, and is not trusted where a file differs from
the one that was read. It is two files, each replaced as a whole, so that for a hundred new records of 100,000
not all are written anew; which of them has a row does not matter. A tree that cannot be written to has none.
"""

import contextlib
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.columns import SHARED, STAMP, TEXTS, columns
from bie.analysis.files import Files, Stamp, makers
from bie.analysis.parse import Parser, Row
from bie.analysis.processes import in_order
from bie.store.paths import Tree
from bie.store.record import RECORD, write_file

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

INDEX, LATER = ".index.parquet", ".index.later.parquet"
"""What was read at first, and what came since, as long as that is little."""
FEW = 0.1  # of the rows
AT_ONCE = 5_000  # records that become one table
COLUMNS = 8  # that are read at once
_MADE_BY = b"made_by"
_NO_STAMP = (-1, -1, -1, -1)


def read_index(files: Files) -> "pa.Table":
    """Every record and failure of a study, read anew only where its file is not the one of the index.

    Returns
    -------
    pyarrow.Table
        A row per file in the order of `files`: `SHARED` and `TEXTS`, ``path`` below the tree, ``seed``, a
        column ``split.metric`` for each number (null: missing for the reason in ``missing``; NaN: not in the
        record), ``timing.name`` for each time, and ``ratios``, one for each of the ``types``. Of a failure
        and of an unreadable file only ``path``, ``dataset``, ``model``, ``config_id`` (the short one),
        ``seed``, ``cause`` and ``message`` are known.
    """
    import numpy as np
    import pyarrow as pa

    parts = [_load(files.tree.report / name) for name in (INDEX, LATER)]
    pool = pa.default_memory_pool()
    pool.release_unused()  # reading takes three times as much as what is read
    n_first, n_before = len(parts[0]), sum(map(len, parts))
    row = _still_true(parts, files)
    new = np.flatnonzero(row < 0)
    row[new] = n_before + np.arange(len(new))
    paths = list(files.ends)
    parts += _read([(paths[i], files.ends[paths[i]]) for i in new], files)
    table = _joined([part for part in parts if len(part)] or parts[:1])
    parts.clear()
    if len(row) != len(table) or (row != np.arange(len(row))).any():
        table = table.take(row)
    if len(new) or len(row) < (1 - FEW) * n_before:
        _save(table, files, row >= n_first, n_first)
    pool.release_unused()
    return table


def records_read(tree: Tree) -> dict[str, Stamp]:
    """Stamps of the records in the index, by path below the tree: who finds such a file need not read it.

    Those that cannot be read are not among them.
    """
    import pyarrow.compute as pc

    found: dict[str, Stamp] = {}
    for name in (INDEX, LATER):
        table = _load(tree.report / name, ("path", "state", *STAMP))
        table = table.filter(pc.equal(table["state"], "done"))
        stamps = zip(*(table[part].to_pylist() for part in STAMP), strict=True)
        found |= zip(table["path"].to_pylist(), stamps, strict=True)
    return found


def _load(path: Path, names: Sequence[str] | None = None) -> "pa.Table":
    """What a file of the index holds in some columns, or all, if this code made it; no row otherwise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, read_dictionary=list(SHARED))
        if (file.schema_arrow.metadata or {}).get(_MADE_BY) == makers().encode():
            return _read_columns(file, names or file.schema_arrow.names)
    except (OSError, pa.ArrowException, KeyError):  # the last: that of other code has other columns
        pass
    return columns([])


def _read_columns(file: "pq.ParquetFile", names: Sequence[str]) -> "pa.Table":
    """Some columns at a time: all at once take three times the memory of what is read."""
    import pyarrow as pa

    read: dict[str, pa.ChunkedArray] = {}
    for start in range(0, len(names), COLUMNS):
        # threads would take as much time again as they save
        part = file.read(list(names[start : start + COLUMNS]), use_threads=False)
        read |= zip(part.column_names, part.columns, strict=True)
    return pa.table(read)


def _still_true(parts: Sequence["pa.Table"], files: Files) -> "NDArray[np.int64]":
    """Row of each file, in the parts one below the other; -1 where it is not the file that was read."""
    import numpy as np

    base, start, n = f"{files.tree.root}/", 0, len(files.ends)
    place = dict(zip(files.ends, range(n), strict=True))
    stamps = np.array(array("q", chain.from_iterable(files.ends.values()))).reshape(n, len(STAMP))
    row = np.full(n, -1)
    for table in parts:
        at = np.array([place.get(f"{base}{path}", -1) for path in table["path"].to_pandas()], np.int64)
        read = np.stack([table[name].to_numpy() for name in STAMP], axis=1)
        same = np.flatnonzero((at >= 0) & (read == (stamps[at] if n else -1)).all(axis=1))
        row[at[same]] = start + same
        start += len(table)
    return row


def _read(ends: Sequence[tuple[str, Stamp]], files: Files) -> "Iterator[pa.Table]":
    """Rows of the files, in order."""
    parts = [ends[start : start + AT_ONCE] for start in range(0, len(ends), AT_ONCE)]
    read = partial(_part, root=str(files.tree.root), settled=files.settled)
    return in_order(read, parts, None if len(parts) > 1 else 1)


def _part(ends: Sequence[tuple[str, Stamp]], root: str, settled: int) -> "pa.Table":
    parser = Parser()
    return columns(_row(path, stamp, parser, root, settled) for path, stamp in ends)


def _row(path: str, stamp: Stamp, parser: Parser, root: str, settled: int) -> Row:
    row = parser.record(path) if path.endswith(RECORD) else parser.failure(path)
    if stamp[2] >= settled or row["state"] == "unreadable":  # may be another the next time
        stamp = _NO_STAMP
    row["path"] = path[len(root) + 1 :]
    row["stamp"] = stamp
    return row


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
    return pa.concat_tables(tables).unify_dictionaries()


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
    # no two numbers are alike: packing them saves little and takes three times as long to read
    how: Any = {"compression": dict.fromkeys((*TEXTS, *SHARED), "snappy"), "use_dictionary": list(SHARED)}
    how["write_statistics"] = False
    pq.write_table(noted, buffer, **how)
    write_file(path, buffer.getvalue())
