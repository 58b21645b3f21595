"""Your own samples as Cell Ranger leaves them, named by a sample sheet: a batch each, or as the sheet says.

The sheet is a table with a header, in commas, semicolons or tabs: ``path`` and ``sample``, and ``batch``
where several samples make one. A path that is not absolute starts at the sheet's folder.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np

from bie.config.datasets import Own
from bie.config.sections import section
from bie.data import checks, notes, tenx
from bie.data.anndata_file import unique_names
from bie.data.barcodes import of_wells
from bie.data.card import Card
from bie.data.cells import Cells
from bie.data.filters import filtered
from bie.data.join import Part, joined
from bie.data.overrides import typed
from bie.errors import BadInput
from bie.schema import LOCAL

CARD = Card(
    name="tenx",
    about="your own 10x samples, .h5 or mtx folders: dataset.samples=SHEET.csv (columns sample, path)",
    size="any",
    batches="2 or more",
    types="none",
)


@section
class Tenx(Own):
    """A user's 10x samples, named by a sample sheet."""

    source: Literal["tenx"]
    samples: Annotated[Path, LOCAL]


class Sample(NamedTuple):
    """A line of the sheet."""

    name: str
    batch: str
    path: Path


def load(settings: Tenx) -> Cells:
    """Read all samples and put one below the other, with the genes (by Ensembl id) that all of them have.

    Raises
    ------
    BadInput
        If the sheet or a sample cannot be used; says which line, and why.
    """
    samples = read_sheet(typed(settings.samples))
    parts = [_part(sample, settings.fractional) for sample in samples]
    counts, genes = joined(parts)
    batches = tuple(dict.fromkeys(sample.batch for sample in samples))
    code_s = [batches.index(sample.batch) for sample in samples]
    cells = Cells(
        counts=counts,
        batch=np.repeat(np.array(code_s, np.int64), [len(part.cell_names) for part in parts]),
        batches=batches,
        label=None,
        labels=(),
        cell_names=np.concatenate([part.cell_names for part in parts]),
        gene_names=genes,
        notes=notes.of_join(parts, genes),
    )
    cells = filtered(cells, settings.min_counts, settings.min_cells)
    for problem in checks.find_problems(cells):
        raise BadInput(f"{settings.samples}: {problem.finding}. {_REMEDY}")
    return cells


_SHEET = "Needed: sample (or batch) and path, a line for each sample"
_APART = "name the samples' own outputs in the sheet, a line each"
_REMEDY = "dataset.min_counts=500 drops cells with fewer counts; else see to the files of the sheet"


def read_sheet(path: Path) -> list[Sample]:
    """Read the lines of a sample sheet, two batches or more.

    Raises
    ------
    BadInput
        If it is not there, lacks a column or a value, names a sample twice or has one batch only.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark at the beginning
    except OSError as error:
        why = f"{error.strerror} (seen from {Path.cwd()})"
        raise BadInput(f"dataset.samples={path} cannot be read: {why}. {_SHEET}") from None
    except UnicodeDecodeError:
        raise BadInput(f"dataset.samples={path} is no text in UTF-8. Save it as CSV in UTF-8") from None
    header, _, _ = text.partition("\n")
    delimiter = next((mark for mark in ("\t", ",") if mark in header), ";")
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    columns = [_column(name) for name in rows[0]] if rows else header.split(delimiter)
    if not rows or "path" not in columns or not {"sample", "batch"} & set(columns):
        raise BadInput(
            f"dataset.samples={path} has the columns {', '.join(columns)} and {len(rows)} lines below them. "
            f"{_SHEET}"
        )
    samples = [_sample(path, line, row) for line, row in enumerate(rows, start=2)]
    _check(path, samples)
    return samples


def _column(name: object) -> str:
    return str(name).strip().lower()


def _sample(sheet: Path, line: int, row: dict[str, str | None]) -> Sample:
    values = {_column(key): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
    name = values.get("sample") or values.get("batch", "")
    if not name or not values.get("path"):
        raise BadInput(f"{sheet}, line {line}: a sample needs a name and a path")
    return Sample(name, values.get("batch") or name, sheet.parent / typed(Path(values["path"])))


def _check(sheet: Path, samples: Sequence[Sample]) -> None:
    names, paths = [s.name for s in samples], [str(tenx.located(s.path)) for s in samples]
    for kind, found in (("sample", names), ("path", paths)):
        twice = sorted({value for value in found if found.count(value) > 1})
        if twice:
            raise BadInput(f"{sheet}: the {kind} {twice[0]} is on more than one line")
    if len({sample.batch for sample in samples}) < 2:
        raise BadInput(
            f"{sheet} has one batch only ({samples[0].batch}), 2 or more are needed. Of a file by cellranger "
            f"aggr, {_APART}"
        )


def _part(sample: Sample, fractional: str) -> Part:
    run = tenx.read_matrix(sample.path)
    counts, said = tenx.as_counts(sample.path, run.counts, fractional)
    names = np.array([f"{code}-{sample.name}" for code in run.barcodes], dtype=np.str_)
    genes = np.array(run.genes, dtype=np.str_)
    wells = of_wells(run.barcodes, np.zeros(len(names), np.int64), [sample.name], _APART)
    said = (*said, *notes.of_gene_names(genes), *wells)
    return Part(str(sample.path), counts, names, unique_names(genes), said)
