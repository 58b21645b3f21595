"""What a user's ``.h5ad`` holds, and the command line that fits it."""

import re
from collections.abc import Iterator
from pathlib import Path

from bie.config import H5ad
from bie.data import grouping
from bie.data.anndata_file import AnnDataFile, opened
from bie.data.datasets import h5ad
from bie.data.nodes import Unreadable
from bie.data.overrides import override
from bie.data.table import Table
from bie.errors import BadInput

_BATCH_WORDS = re.compile(r"batch|sample|donor|patient|run|chemistry|tech|protocol|study|site|plate", re.I)
_LABEL_WORDS = re.compile(r"cell.?type|cell.?label|annot|label|cluster|class|leiden|louvain", re.I)


def describe(path: Path) -> Iterator[str]:
    """Lines that say what was found; at the end, whether a run can use it, and how.

    Raises
    ------
    BadInput
        After the lines, if no command line can work with this file as it is; says why.
    """
    with opened(path) as file:
        yield f"{path}: {file.size}"
        yield from _matrices(file)
        yield from _columns(file.obs)
        settings = _guess(file)
    h5ad.load(settings)
    yield "every check passed. To use it (other columns fit as well, see above):"
    yield f"  {command(settings)}"


def command(settings: H5ad) -> str:
    """Command line for a run with these settings, quoted for Hydra and for the shell."""
    given = {
        "dataset.path": str(settings.path),
        "dataset.layer": settings.layer,
        "dataset.batch_key": settings.batch_key,
        "dataset.label_key": settings.label_key,
    }
    overrides = [override(key, value) for key, value in given.items() if value is not None]
    return " ".join(["python -m bie.run dataset=h5ad", *overrides])


def _matrices(file: AnnDataFile) -> Iterator[str]:
    yield "matrices"
    for matrix in file.matrices.values():
        try:
            found = matrix.survey()
        except Unreadable as error:
            yield f"  {matrix.name:<20} {'':<16} {str(error).removeprefix(matrix.name).lstrip()}"
            continue
        says = "raw counts" if found.is_counts else "nothing but zeros"
        if found.bad is not None:
            says = f"no counts: holds {found.bad}"
        yield f"  {matrix.name:<20} {matrix.layout:<16} {says}"


def _columns(obs: Table) -> Iterator[str]:
    sizes = grouping.groupings(obs)
    yield (
        f"columns of obs with 2 to {grouping.MOST_GROUPS} values"
        if sizes
        else "no column of obs names groups"
    )
    for key, size in sizes.items():
        cells = obs[key].value_counts()
        shown = ", ".join(f"{value} {count:,}" for value, count in cells.head(5).items() if count)
        absent = int(obs[key].isna().sum())
        rest = (", ..." if size > 5 else "") + (f"; no value in {absent:,} cells" if absent else "")
        yield f"  {key:<20} {size:>3}  {shown}{rest}"


def _guess(file: AnnDataFile) -> H5ad:
    """Settings that suit the file best: by the names of its columns, and where its counts are."""
    columns = grouping.groupings(file.obs)
    label = next((key for key in columns if _LABEL_WORDS.search(key)), None)
    others = [key for key in columns if key != label]
    batch = next((key for key in others if _BATCH_WORDS.search(key)), next(iter(others), label))
    if batch is None:
        raise BadInput(f"{file.path}: no column of obs can tell batches. Add one with two or more values")
    layer = next((name for name in file.matrices if file.holds_counts(name)), None)
    return H5ad(
        source="h5ad",
        name="h5ad",
        path=file.path,
        layer=layer,
        batch_key=batch,
        label_key=label if label != batch else None,
    )
