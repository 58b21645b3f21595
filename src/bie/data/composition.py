"""Which batches and types simulated cells are of: shares of both, and cells that have them."""

import numpy as np

from bie.data.simulated_counts import Floats, Integers

_PBMC_CELLS_BK = (  # 8k, then 4k: by the metadata of the set of Lopez et al. 2018
    (1071, 1495, 3377, 953, 211, 226, 63, 287, 347),
    (550, 732, 1619, 495, 128, 125, 25, 170, 116),
)


def batch_shares(n_batches: int, majority_share: float) -> Floats:
    """Share of each batch in the cells, ``(b,)``: that of the first is given, the others share the rest."""
    share_b: Floats = np.full(n_batches, (1 - majority_share) / (n_batches - 1))
    share_b[0] = majority_share
    return share_b


def type_shares(share_b: Floats, n_types: int, shift: float, rng: np.random.Generator) -> Floats:
    """Share of each type in each batch, of all cells; shape (b, k), sums to 1.

    Parameters
    ----------
    share_b
        Of the batches.
    n_types
        Equally frequent, but for nine, which are as frequent as those of PBMC.
    shift
        From 0, where all batches have their types alike, to 1, where each has shares of its own, drawn from
        a flat Dirichlet distribution.
    """
    pbmc_k = np.sum(_PBMC_CELLS_BK, axis=0)
    common_k = pbmc_k if n_types == pbmc_k.size else np.ones(n_types)
    own_bk: Floats = rng.dirichlet(np.ones(n_types), share_b.size)
    type_bk: Floats = (1 - shift) * common_k / common_k.sum() + shift * own_bk
    return share_b[:, None] * type_bk


def pbmc_shares() -> Floats:
    """Share of each of the nine types of PBMC in each of its two batches, of all cells; sums to 1."""
    shares_bk: Floats = np.array(_PBMC_CELLS_BK) / np.sum(_PBMC_CELLS_BK)
    return shares_bk


def batch_and_type(n_cells: int, share_bk: Floats, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Batch and type of every cell, in random order; every share is met to within one cell."""
    last = np.rint(n_cells * share_bk.cumsum() / share_bk.sum()).astype(np.int64)
    size = np.diff(last, prepend=0)
    group_n = rng.permutation(np.repeat(np.arange(share_bk.size), size))
    return group_n // share_bk.shape[1], group_n % share_bk.shape[1]
