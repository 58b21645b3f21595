"""A user's own data: any AnnData with raw counts in X or a layer, checked before anything is started."""

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bie.config import H5ad
from bie.data import checks, grouping, notes
from bie.data.anndata_file import AnnDataFile, matrix_name, opened
from bie.data.card import Card
from bie.data.cells import Cells
from bie.data.checks import Problem
from bie.errors import BadInput

CARD = Card(
    name="h5ad",
    about="your own file with raw counts: bie data describe FILE",
    size="any",
    batches="2 or more",
    types="any",
)


def load(settings: H5ad) -> Cells:
    """Read and check the file.

    Raises
    ------
    BadInput
        If the file, a key, the counts or the names cannot be used; one line for each finding.
    """
    with opened(settings.path.expanduser()) as file:
        _refuse(file, _table_problems(file, settings))
        cells = _cells(file, settings)
    _refuse(file, checks.find_problems(cells, matrix_name(settings.layer)))
    said = notes.notes(cells, settings.batch_key, settings.label_key)
    return replace(cells, notes=(*cells.notes, *said))


def _table_problems(file: AnnDataFile, settings: H5ad) -> list[Problem]:
    if not len(file.obs) or not len(file.gene_names):
        return [Problem(f"it holds {file.size}", "Was everything filtered out?")]
    found = grouping.find_problems(file.obs, "dataset.batch_key", settings.batch_key, fewest=2)
    if settings.label_key is None:
        return found
    return found + grouping.find_problems(file.obs, "dataset.label_key", settings.label_key, fewest=1)


def _cells(file: AnnDataFile, settings: H5ad) -> Cells:
    batch, batches = grouping.codes(file.obs[settings.batch_key])
    key = settings.label_key
    label, labels = (None, ()) if key is None else grouping.codes(file.obs[key])
    genes = file.matrix(settings.layer).genes.names
    return Cells(
        counts=file.counts(settings.layer, settings.batch_key),
        batch=batch,
        batches=batches,
        label=label,
        labels=labels,
        cell_names=_unique(file.cell_names),
        gene_names=_unique(genes),
        notes=notes.of_gene_names(genes),
    )


def _unique(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Cells of joined samples, and genes, may share names: call them as AnnData's ``..._make_unique()``."""
    import pandas as pd
    from anndata.utils import make_index_unique

    index = pd.Index(names)
    if index.is_unique:
        return names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some names had such a suffix before
        return np.array(make_index_unique(index), dtype=np.str_)


def _refuse(file: AnnDataFile, problems: list[Problem]) -> None:
    if problems:
        raise BadInput("\n".join(f"{file.path}: {problem}" for problem in problems))
