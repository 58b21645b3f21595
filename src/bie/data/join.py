"""Files of one study, put one below the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data.cells import canonical
from bie.errors import BadInput

SHARED = 0.5
"""Least share of a file's genes that all the others have, too: below, they are named in different ways."""


class Part(NamedTuple):
    """What one file holds.

    Attributes
    ----------
    origin
        The file, for people.
    counts
        x_ng in CSR.
    cell_names, gene_names
        Shapes (n,) and (g,); those of the genes are distinct.
    notes
        What was done to the values.
    """

    origin: str
    counts: sp.csr_matrix
    cell_names: NDArray[np.str_]
    gene_names: NDArray[np.str_]
    notes: tuple[str, ...] = ()


def joined(parts: Sequence[Part]) -> tuple[sp.csr_matrix, NDArray[np.str_]]:
    """Counts of all parts' cells in the genes that every part has, in the first one's order.

    A gene that a file does not list was not looked for there, which is no count of 0: so it is left out.

    Returns
    -------
    x_ng, names of the genes

    Raises
    ------
    BadInput
        If a part shares less than `SHARED` of its genes with all others.
    """
    genes = parts[0].gene_names
    shared = set(genes.tolist()).intersection(*(part.gene_names.tolist() for part in parts[1:]))
    for part in parts:
        if len(shared) < SHARED * len(part.gene_names):
            own = set(part.gene_names.tolist())
            other = min(parts, key=lambda each: len(own.intersection(each.gene_names.tolist())))
            raise BadInput(
                f"{part.origin}: {len(shared):,} of its {len(part.gene_names):,} genes are in all files. It "
                f"calls them {_examples(part)}; {other.origin}: {_examples(other)}. Name them in one way"
            )
    kept = genes[np.isin(genes, list(shared))]
    rows = [part.counts[:, _columns(part, kept)] for part in parts]
    return canonical(sp.vstack(rows, format="csr")), kept


def _columns(part: Part, kept: NDArray[np.str_]) -> NDArray[np.int64]:
    column = {name: i for i, name in enumerate(part.gene_names.tolist())}
    return np.array([column[name] for name in kept.tolist()], np.int64)


def _examples(part: Part) -> str:
    return f"{', '.join(part.gene_names[:2].tolist())}, ..."
