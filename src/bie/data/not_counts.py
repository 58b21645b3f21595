"""Why the values of a matrix are no counts, as far as they tell, and how to go on."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.data import fractions, grouping
from bie.data.checks import LARGEST_COUNT, examples, filled_by_outer_join
from bie.data.matrix import Matrix, Survey

if TYPE_CHECKING:
    from bie.data.table import Table

KEEP_THEM = (
    "no matrix of this file holds counts. Where you normalise, keep them first: "
    'adata.layers["counts"] = adata.X.copy() -> dataset.layer=counts'
)
_MIXED = 0.1
"""Share of fractions from which whole batches without any tell that inputs were in different states."""
_TOOLS = "alevin-fry, kallisto, SoupX, DecontX, CellBender"


def held(matrix: Matrix, found: Survey, batch_key: str | None) -> tuple[str, str]:
    """What a matrix holds instead of counts, and what to do where the file has no counts elsewhere.

    Parameters
    ----------
    found
        What the survey of the matrix gave, which are no counts.
    batch_key
        Column of obs with the batches, if one is known: to say whose values are missing.
    """
    if found.bad is None:
        return "holds no counts at all", KEEP_THEM
    said = f"holds {found.bad}, which is not a count"
    if found.bad == "nan":
        return _missing(matrix, batch_key)
    if not found.is_number:
        return said, KEEP_THEM
    value = float(found.bad)
    if LARGEST_COUNT < value < np.inf and value == np.floor(value):
        return f"holds {found.bad}, and float32 holds whole numbers up to {LARGEST_COUNT:,}", KEEP_THEM
    return _fractional(matrix, said, batch_key) if value > 0 and np.isfinite(value) else (said, KEEP_THEM)


def _fractional(matrix: Matrix, said: str, batch_key: str | None) -> tuple[str, str]:
    """Fractions, which a tool may have made of counts: how many, how far from whole, in which batches."""
    n, distance = 0, 0.0
    for block in matrix.values():
        above = block[block > 0].astype(np.float64)
        n += above.size
        distance = max(distance, float(np.abs(above - np.rint(above)).max(initial=0.0)))
    of_cell, _ = matrix.numbers_of(lambda block: block != np.rint(block))
    n_fractional = int(of_cell.sum())
    share = f"{n_fractional:,} of its {n:,} values above 0 ({100 * n_fractional / n:.3g} %) are not whole"
    if distance < 1e-3:
        share += f", by {distance:.1g} at most"
    whole = _batches_where(matrix.cells, batch_key, of_cell == 0)
    if whole and n_fractional > _MIXED * n:
        remedy = f"inputs in different states were joined: give each its counts before. Else {KEEP_THEM}"
        return f"{said}: {share}, but all of batch {examples(whole)} are", remedy
    first = matrix.first(fractions.SAMPLE)
    if first is not None and (kind := fractions.normalised(first)):
        return f"{said}: {share}; it looks like {kind}", KEEP_THEM
    round_them = f"if these are counts with fractions ({_TOOLS}), round them: dataset.fractional=round"
    return f"{said}: {share}", f"{round_them}; else {KEEP_THEM}"


def _missing(matrix: Matrix, batch_key: str | None) -> tuple[str, str]:
    """NaN: in which cells and genes, of which batches; what fills whole blocks with it."""
    nan_n, nan_g = matrix.numbers_of(np.isnan)
    n_cells, n_genes = int((nan_n > 0).sum()), int((nan_g > 0).sum())
    said = f"holds NaN in {n_cells:,} of {nan_n.size:,} cells and {n_genes:,} of {nan_g.size:,} genes"
    if n_genes < nan_g.size:
        said += f" ({examples(matrix.genes.names[nan_g > 0])})"
    whole = _batches_where(matrix.cells, batch_key, nan_n == nan_g.size)
    said += f", in every value of batch {examples(whole)}" if whole else ""
    by_join = n_cells > nan_n.size / 10
    return said, filled_by_outer_join(matrix.name, "NaN") if by_join else KEEP_THEM


def _batches_where(cells: "Table", batch_key: str | None, holds_n: NDArray[np.bool_]) -> list[str]:
    """Batches in all of whose cells something holds."""
    if batch_key is None or not holds_n.any():
        return []
    batch, names = grouping.codes(cells[batch_key])
    return [name for code, name in enumerate(names) if holds_n[batch == code].all()]
