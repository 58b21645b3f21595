"""What a user's ``.h5ad`` holds, and the command line that fits it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bie.data import grouping, guess
from bie.data.anndata_file import RAW, AnnDataFile, matrix_name, opened
from bie.data.barcodes import WELLS, endings, wells
from bie.data.checks import printed
from bie.data.datasets import h5ad
from bie.data.datasets.h5ad import H5ad
from bie.data.nodes import Unreadable
from bie.data.overrides import override, typed
from bie.data.table import Table
from bie.errors import BadInput

_SHOWN = 5


def describe(path: Path) -> Iterator[str]:
    """Lines that say what was found; at the end, whether a run can use it, and how.

    Parameters
    ----------
    path
        Of a file, or a pattern of several, which are a batch each: the first of them is described.

    Raises
    ------
    BadInput
        After the lines, if no command line can work with this file as it is; says why.
    """
    path = typed(path)
    paths = h5ad.matched(path)
    with opened(paths[0]) as file:
        if len(paths) > 1:
            yield f"{path}: {len(paths)} files, of which this is the first:"
        yield f"{file.path}: {file.size}"
        yield from _matrices(file)
        yield from _columns(file.obs)
        settings, chosen = _guess(file, path)
    cells = h5ad.load(settings)
    yield from (f"note: {note}" for note in cells.notes)
    yield from chosen
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
    if None not in file.matrices:
        yield f"  {'X':<20} {'':<16} left out"
    for matrix in file.matrices.values():
        try:
            found = matrix.survey()
        except Unreadable as error:
            yield f"  {matrix.name:<20} {'':<16} {str(error).removeprefix(matrix.name).lstrip(': ')}"
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
        column = obs[key]
        absent = int(column.isna().sum())
        code, names = grouping.codes(column)
        n_b = np.bincount(code[code >= 0], minlength=len(names))
        largest = sorted(zip(-n_b, names, strict=True))[:_SHOWN]
        shown = ", ".join(f"{printed(name)} {-count:,}" for count, name in largest)
        rest = (", ..." if size > _SHOWN else "") + (f"; no value in {absent:,} cells" if absent else "")
        yield f"  {printed(key):<20} {size:>3}  {shown}{rest}"
    many = ", ".join(f"{key} ({size:,})" for key, size in grouping.many(obs).items())
    if many:
        yield f"columns with more than {grouping.MOST_GROUPS} values, which can be chosen as well: {many}"
    for key, why in obs.unreadable.items():
        yield f"cannot be read: {why}" if key in why else f"cannot be read: {key}: {why}"


def _guess(file: AnnDataFile, path: Path) -> tuple[H5ad, list[str]]:
    """Settings that suit the file best, by names of columns and where counts are; and which were close."""
    label = guess.labels(file.obs)
    batch = guess.batches(file.obs, label.best)
    if path != file.path:
        batch = guess.Guess(h5ad.FILE, batch.best)
    if batch.best is None:
        unread = "; ".join(file.obs.unreadable.values())
        why = f" ({unread})" if unread else ""
        raise BadInput(f"{file.path}: no column of obs can tell batches{why}. {_column_to_add(file)}")
    layer, others = _layers(file)
    settings = H5ad(
        source="h5ad",
        name="h5ad",
        path=path,
        layer=layer,
        batch_key=batch.best,
        label_key=label.best,
    )
    counts = guess.Guess(matrix_name(layer), ", ".join(map(matrix_name, others)))
    of_counts = [_chosen("counts", counts)] if others else []
    return settings, [*of_counts, _chosen("batches", batch), _chosen("cell types", label)]


def _column_to_add(file: AnnDataFile) -> str:
    well_n = wells(file.cell_names)
    if well_n is None:
        return "Add one of two or more values"
    said = f"Barcodes end in {endings(well_n)}, as cellranger aggr numbers samples"
    return f"{said}. For a batch of each: {WELLS} -> dataset.batch_key=well"


def _layers(file: AnnDataFile) -> tuple[str | None, list[str | None]]:
    """Where the counts are, and where they could be as well.

    If nowhere, where they should be by its name: so it is said what is wrong.
    """

    def place(name: str | None) -> int:
        if file.matrices[name].survey().largest == 1:
            return 4  # where there are counts, not how many
        if name in (None, RAW):
            return 0 if name is None else 2
        return 1 if is_named(name) else 3

    def is_named(name: str | None) -> bool:
        return bool(name and re.search(r"count|umi|raw", name, re.I))

    found = sorted((name for name in file.matrices if file.holds_counts(name)), key=place)
    return (found[0], found[1:]) if found else (next(filter(is_named, file.matrices), None), [])


def _chosen(what: str, found: guess.Guess) -> str:
    if found.best is None:
        most = grouping.MOST_GROUPS
        return f"{what}: no column of 2 to {most} values is called so; metrics that need them will be null"
    second = f"; second best: {found.second}" if found.second else ""
    return f"{what}: {found.best}{second}"
