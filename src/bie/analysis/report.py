"""Write the tables of a study to its folder."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie.analysis.render import as_latex, as_markdown
from bie.analysis.study import Study
from bie.analysis.tidy import long_table
from bie.analysis.wide import Table

if TYPE_CHECKING:
    import pandas as pd

FILES = ("runs.parquet", "runs.csv", "summary.csv", "summary.md", "summary.tex")


Stamp = list[int]
"""Inode, size and time of change (ns) of a file: another file, or another content, has another."""


def stamp(path: Path) -> Stamp:
    """Tell a file from any that replaces it."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def write_report(
    folder: Path, study: Study, summary: "pd.DataFrame", tables: Sequence[Table]
) -> dict[str, Stamp]:
    """Write `FILES`, the same bytes for the same records.

    Each file is replaced as a whole, so that neither readers nor a second writer see half of it.

    Returns
    -------
    dict
        `stamp` of each file as it was written here, whoever may have replaced it since.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = long_table(study)
    writers: dict[str, Callable[[Path], object]] = {
        "runs.parquet": lambda part: _write_parquet(runs, part),
        "runs.csv": lambda part: runs.to_csv(part, index=False, lineterminator="\n"),
        "summary.csv": lambda part: summary.to_csv(part, index=False, lineterminator="\n"),
        "summary.md": lambda part: part.write_text(as_markdown(study.name, tables), encoding="utf-8"),
        "summary.tex": lambda part: part.write_text(as_latex(tables), encoding="utf-8"),
    }
    return {name: _replace(folder / name, writers[name]) for name in FILES}


def _replace(path: Path, write: Callable[[Path], object]) -> Stamp:
    """Write under another name in the same folder, then rename; nothing remains after an error."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(part)
        written = stamp(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return written


def _write_parquet(frame: "pd.DataFrame", path: Path) -> None:
    """Plain column types, without notes of how pandas held them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, store_schema=False)
