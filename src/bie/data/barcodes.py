"""Barcodes of Cell Ranger, ``AAACCTGAGAAACCAT-1``: the number at the end tells the GEM well of a cell.

Of one sample it is 1 in all cells; ``cellranger aggr`` numbers the samples that it puts into one file.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bie.data.checks import examples, printed

_BARCODE = re.compile(r"[ACGTN]{10,}-([1-9]\d*)")
WELLS = 'adata.obs["well"] = adata.obs_names.str.split("-").str[-1]'
"""How a user of AnnData makes a column of them."""


def wells(names: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64] | None:
    """Number of the GEM well of each cell; None where not all names are barcodes, or there is one well only.

    >>> wells(["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCAT-2"])
    array([1, 2])
    """
    found = []
    for name in names:
        barcode = _BARCODE.fullmatch(name)
        if barcode is None:
            return None
        found.append(int(barcode[1]))
    return np.array(found, np.int64) if len(set(found)) > 1 else None


def endings(well_n: NDArray[np.int64]) -> str:
    """What the barcodes of these wells end in, the first three."""
    return examples([f"-{well}" for well in np.unique(well_n)])


def of_wells(
    names: Sequence[str] | NDArray[np.str_], batch_n: NDArray[np.int64], batches: Sequence[str], remedy: str
) -> tuple[str, ...]:
    """A note on batches that hold several GEM wells, none of which another batch shares.

    Parameters
    ----------
    names
        Of the cells, as they are in the file.
    remedy
        How to make a batch of each well.
    """
    well_n = wells(names)
    if well_n is None:
        return ()
    pairs = np.unique(np.stack([batch_n, well_n]), axis=1)
    shared = len(pairs[1]) > len(np.unique(pairs[1]))
    several = np.flatnonzero(np.bincount(pairs[0]) > 1)
    if shared or not several.size:
        return ()
    listed = [f"{printed(batches[b])} ({endings(pairs[1][pairs[0] == b])})" for b in several[:3]]
    more = ", ..." if several.size > len(listed) else ""
    return (
        "cells of several GEM wells are one batch, by the ends of their barcodes, in which cellranger aggr "
        f"numbers samples: {', '.join(listed)}{more}. For a batch of each: {remedy}",
    )
