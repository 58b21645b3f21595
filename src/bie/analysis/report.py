"""Write the tables of a study to its folder."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from bie.analysis.as_csv import write_csv
from bie.analysis.by_type import by_type
from bie.analysis.paired_tables import across_tables, paired_tables
from bie.analysis.processes import in_order
from bie.analysis.recall import Stamp, stamp
from bie.analysis.render import as_latex, as_markdown
from bie.analysis.results import Results
from bie.analysis.study import Study
from bie.analysis.tidy import long_columns, long_table

AT_ONCE = 10_000  # runs whose numbers are in memory at once
CSV_ROWS = 500_000  # above, runs.csv (200 bytes a row) is written only where it is asked for
FILES = (
    *("runs.parquet", "runs.csv", "summary.csv", "summary.md", "summary.tex"),
    *("paired.csv", "paired.md", "paired.tex", "pairs.parquet"),
)
BY_TYPE = "by_type.csv"

Writers = Mapping[str, Callable[[Path], object]]


def n_numbers(study: Study) -> int:
    """Rows of ``runs.csv``: a number each."""
    return int((study.runs["state"] == "done").sum()) * study.values.shape[1]


def write_report(folder: Path, results: Results, csv: bool = True) -> dict[str, Stamp]:
    """Write `FILES`, and ``by_type.csv`` where types were compared; the same bytes for the same records.

    Each file is replaced as a whole, so that neither readers nor a second writer see half of it.

    Parameters
    ----------
    csv
        Whether to write ``runs.csv``; else one that is there is removed, for it would not fit the others.

    Returns
    -------
    dict
        `stamp` of each file as it was written here, whoever may have replaced it since.
    """
    return begin_report(folder, results, csv)()


def begin_report(folder: Path, results: Results, csv: bool = True) -> Callable[[], dict[str, Stamp]]:
    """Begin what `write_report` does, for a large study in other processes; what is returned ends it."""
    summaries, *others = _files(results, csv)
    is_large = n_numbers(results.study) > CSV_ROWS
    written = in_order(partial(_write, folder), others, None if is_large else 1)

    def end() -> dict[str, Stamp]:
        stamps = _write(folder, summaries)
        for other in written:
            stamps |= other
        for name in {*FILES, BY_TYPE} - stamps.keys():
            (folder / name).unlink(missing_ok=True)
        return stamps

    return end


def _files(results: Results, csv: bool) -> tuple[Writers, Writers, Writers]:
    """How each file is written: the summaries, what is told of the runs, and the comparison."""
    study, read = results.study, results.for_people
    types = by_type(study)
    tables = cache(lambda: [*paired_tables(read), *across_tables(read)])
    of_runs: dict[str, Callable[[Path], object]] = {
        "runs.parquet": lambda part: _write_parquet(study, part),
        "pairs.parquet": lambda part: results.pairs.to_parquet(part, index=False),
    }
    if csv:
        of_runs["runs.csv"] = lambda part: _write_csv(study, part)
    paired = {
        "paired.csv": lambda part: write_csv(results.comparison, part),
        "paired.md": lambda part: part.write_text(as_markdown(study.name, tables()), encoding="utf-8"),
        "paired.tex": lambda part: part.write_text(as_latex(tables()), encoding="utf-8"),
    }
    summaries = {
        "summary.csv": lambda part: write_csv(results.summary, part),
        "summary.md": lambda part: part.write_text(as_markdown(study.name, read.tables), encoding="utf-8"),
        "summary.tex": lambda part: part.write_text(as_latex(read.tables), encoding="utf-8"),
    }
    if len(types):
        summaries[BY_TYPE] = lambda part: write_csv(types, part)
    return summaries, of_runs, paired


def _write(folder: Path, files: Writers) -> dict[str, Stamp]:
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _replace(folder / name, write) for name, write in files.items()}


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


def _slices(study: Study) -> Iterator[slice]:
    """The finished runs, some thousand at a time; at least one slice."""
    n = int((study.runs["state"] == "done").sum())
    for start in range(0, max(n, 1), AT_ONCE):
        yield slice(start, start + AT_ONCE)


def _write_csv(study: Study, path: Path) -> None:
    for i, runs in enumerate(_slices(study)):
        write_csv(long_table(study, runs), path, more=i > 0)


def _write_parquet(study: Study, path: Path) -> None:
    """Plain column types, without notes of how pandas held them."""
    import pyarrow.parquet as pq

    writer = None
    try:
        for runs in _slices(study):
            table = long_columns(study, runs)
            texts = [name for name in table.column_names if name != "value"]  # no two values are alike
            # statistics take as long as all the rest, and nobody looks for a range of texts
            how: Any = {"store_schema": False, "use_dictionary": texts, "write_statistics": False}
            writer = writer or pq.ParquetWriter(path, table.schema, **how)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()
