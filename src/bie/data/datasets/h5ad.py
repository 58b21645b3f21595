"""A user's own data: AnnData with raw counts in X, raw.X or a layer, in one file or in several."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from bie.config.datasets import Own
from bie.config.sections import section
from bie.data import checks, grouping, notes
from bie.data.anndata_file import AnnDataFile, matrix_name, opened, unique_names
from bie.data.card import Card
from bie.data.cells import Cells
from bie.data.checks import Problem
from bie.data.filters import filtered
from bie.data.grouping import Codes
from bie.data.join import Part, joined
from bie.data.overrides import typed
from bie.errors import BadInput
from bie.schema import LOCAL

if TYPE_CHECKING:
    import pandas as pd

CARD = Card(
    name="h5ad",
    about="your own file with raw counts, .h5ad or .zarr: bie data describe FILE",
    size="any",
    batches="2 or more",
    types="any",
)

FILE = "file"
"""As ``dataset.batch_key`` of a path that matches several files: each file is a batch."""


@section
class H5ad(Own):
    """A user's AnnData file with raw counts."""

    source: Literal["h5ad"]
    path: Annotated[Path, LOCAL]
    layer: Annotated[str | None, LOCAL]
    batch_key: Annotated[str, LOCAL]
    label_key: Annotated[str | None, LOCAL]


def load(settings: H5ad) -> Cells:
    """Read and check the file, or the files that the path matches.

    Raises
    ------
    BadInput
        If a file, a key, the counts or the names cannot be used; one line for each finding.
    """
    path = typed(settings.path)
    paths = matched(path)
    cells = _one(path, settings) if paths == [path] else _several(paths, settings)
    cells = filtered(cells, settings.min_counts, settings.min_cells)
    _refuse(settings.path, checks.find_problems(cells, matrix_name(settings.layer)))
    said = notes.notes(cells, settings.batch_key, settings.label_key)
    return replace(cells, notes=(*cells.notes, *said))


def matched(path: Path) -> list[Path]:
    """Files of a pattern, in the order of their names; a path without one, or of a file, is itself."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    if len(found) < 2:
        bracket = ". A [ in a name is written [[]" if "[" in str(path) else ""
        raise BadInput(
            f"{path} matches {len(found)} files (seen from {Path.cwd()}), 2 or more are needed{bracket}"
        )
    return found


def _one(path: Path, settings: H5ad) -> Cells:
    with opened(path) as file:
        _refuse(path, _table_problems(file, settings, fewest=2))
        part = _part(file, settings, n_files=1)
        batch, batches = _united([file.obs[settings.batch_key]])
        key = settings.label_key
        label, labels = (None, ()) if key is None else _united([file.obs[key]])
    names = part.cell_names, part.gene_names
    return Cells(part.counts, batch, batches, label, labels, *names, notes=part.notes)


def _several(paths: Sequence[Path], settings: H5ad) -> Cells:
    """Read the files one below the other, with the genes that all of them have."""
    import pandas as pd

    parts: list[Part] = []
    batches, labels = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        with opened(path) as file:
            _refuse(path, _table_problems(file, settings, fewest=1))
            parts.append(_part(file, settings, len(paths)))
            of_file = pd.Series(name, index=range(len(file.obs)))
            batch_n = of_file if settings.batch_key == FILE else file.obs[settings.batch_key]
            batches.append(batch_n.astype("category"))  # which keeps each text once
            if settings.label_key is not None:
                labels.append(file.obs[settings.label_key].astype("category"))
    counts, genes = joined(parts)
    batch, names = _united(batches)
    if len(names) < 2:
        raise BadInput(
            f"{settings.path}: dataset.batch_key={settings.batch_key} has one value in all files "
            f"({names[0]}). For a batch each: dataset.batch_key={FILE}"
        )
    label, types = _united(labels) if labels else (None, ())
    cell_names = unique_names(np.concatenate([part.cell_names for part in parts]))
    return Cells(counts, batch, names, label, types, cell_names, genes, notes=notes.of_join(parts, genes))


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of the files without ending; with their folders, or then the ending, where two have the same."""
    common = os.path.commonpath([path.parent for path in paths])
    whole = [path.relative_to(common) for path in paths]
    for names in ([path.stem for path in whole], [path.with_suffix("").as_posix() for path in whole]):
        if len(set(names)) == len(names):
            return names
    return [path.as_posix() for path in whole]


def _united(columns: "Sequence[pd.Series[Any]]") -> Codes:
    """Columns of the files as one: the same value in two files is one group.

    Groups are sorted by name, in whatever order or type a file holds them: the same cells are the same.
    """
    coded = grouping.of_several(columns)
    names = sorted({name for _, values in coded for name in values})
    code = {name: i for i, name in enumerate(names)}
    codes = [np.array([code[name] for name in values], np.int64)[of_n] for of_n, values in coded]
    return np.concatenate(codes), tuple(names)


def _part(file: AnnDataFile, settings: H5ad, n_files: int) -> Part:
    key = settings.batch_key if settings.batch_key in file.obs else None
    counts = file.counts(settings.layer, key, settings.fractional)
    genes = file.matrix(settings.layer).genes.names
    said = (*file.notes, *notes.of_gene_names(genes, n_files))
    return Part(str(file.path), counts, unique_names(file.cell_names), unique_names(genes), said)


def _table_problems(file: AnnDataFile, settings: H5ad, fewest: int) -> list[Problem]:
    if not len(file.obs) or not len(file.gene_names):
        return [Problem(f"it holds {file.size}", "Was everything filtered out?")]
    found: list[Problem] = []
    if fewest > 1 or settings.batch_key != FILE:
        found = grouping.find_problems(file.obs, "dataset.batch_key", settings.batch_key, fewest)
    if settings.label_key is None:
        return found
    return found + grouping.find_problems(file.obs, "dataset.label_key", settings.label_key, fewest=1)


def _refuse(path: Path, problems: list[Problem]) -> None:
    if problems:
        raise BadInput("\n".join(f"{path}: {problem}" for problem in problems))
