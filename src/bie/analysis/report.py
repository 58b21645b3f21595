"""Write the tables of a study to its folder."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bie.analysis.render import as_latex, as_markdown
from bie.analysis.study import Study
from bie.analysis.tidy import long_table
from bie.analysis.wide import Table

if TYPE_CHECKING:
    import pandas as pd

FILES = ("runs.parquet", "runs.csv", "summary.csv", "summary.md", "summary.tex")


def write_report(folder: Path, study: Study, summary: "pd.DataFrame", tables: Sequence[Table]) -> None:
    """Write `FILES`, the same bytes for the same records.

    Each file is replaced as a whole, so that neither readers nor a second writer see half of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = long_table(study)
    with _replacing(folder / "runs.parquet") as part:
        _write_parquet(runs, part)
    with _replacing(folder / "runs.csv") as part:
        runs.to_csv(part, index=False, lineterminator="\n")
    with _replacing(folder / "summary.csv") as part:
        summary.to_csv(part, index=False, lineterminator="\n")
    with _replacing(folder / "summary.md") as part:
        part.write_text(as_markdown(study.name, tables), encoding="utf-8")
    with _replacing(folder / "summary.tex") as part:
        part.write_text(as_latex(tables), encoding="utf-8")


def _write_parquet(frame: "pd.DataFrame", path: Path) -> None:
    """Plain column types, without notes of how pandas held them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, store_schema=False)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Another name in the same folder, renamed to `path` at the end; nothing remains after an error."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
