"""Break the counts of one batch on purpose: how much of a batch effect does a model survive?

The three breakages of the 2019 study's continuation (2020), each a new multinomial draw of the cells that it
changes, so that the counts stay counts:

==========================  ==========================================================================
`LibrarySize`               the total of a cell times `ratio`, its proportions as they were
`ExpressedGenes`            a random share `ratio` of a cell's genes stays, its total as it was
`ExpressionProportion`      some genes' proportions times `ratio`, others make room, totals as they were
==========================  ==========================================================================

All other cells stay as they are, to the last count. The code of 2020 did otherwise (`as_2020`): with the
library size of one batch it changed that of the other too, towards the same overall total; and of the genes
that are to make room it took the first three quarters before it had sorted them, so that some of them were
among the changed ones, and scaled them by a factor that could be negative.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.config import ExpressedGenes, ExpressionProportion, LibrarySize, Perturbation, Untouched
from bie.data.cells import Cells, canonical
from bie.errors import BadInput, RunFailed
from bie.seeds import Streams

Codes = NDArray[np.int64]
FEWEST_GENES = 3
"""Of which some are changed and some make room."""


def check(cells: Cells, settings: Perturbation) -> None:
    """Raise `BadInput` if these cells cannot be broken so."""
    if isinstance(settings, Untouched):
        return
    if settings.batch >= cells.n_batches:
        raise BadInput(
            f"perturb.batch={settings.batch}: the data set has {cells.n_batches} batches, "
            f"0 to {cells.n_batches - 1}"
        )
    if not isinstance(settings, ExpressedGenes) and settings.as_2020 and cells.n_batches != 2:
        raise BadInput(f"perturb.as_2020=true: of 2 batches, not of {cells.n_batches}. Use false")
    if isinstance(settings, ExpressionProportion):
        n_genes = len(_ranked(cells, settings))
        if n_genes < FEWEST_GENES:
            raise BadInput(
                f"perturb.zero_share={settings.zero_share:g}, perturb.top_genes={settings.top_genes}: "
                f"{n_genes} genes are so well expressed, {FEWEST_GENES} or more are needed. Raise them"
            )


def perturbed(cells: Cells, settings: Perturbation) -> Cells:
    """Break the cells as `settings` say; the same settings break them in the same way.

    Returns
    -------
    Cells
        With counts of their own and `Cells.perturbation`; the very cells given where nothing is to be done.

    Raises
    ------
    RunFailed
        Cause ``perturb``: the code of 2020 would have stopped, at a negative probability.
    """
    if isinstance(settings, Untouched):
        return cells
    rng = Streams(settings.seed).numpy("perturb")
    if isinstance(settings, LibrarySize):
        return _with_library_size(cells, settings, rng)
    if isinstance(settings, ExpressedGenes):
        return _with_fewer_genes(cells, settings, rng)
    return _with_proportions(cells, settings, rng)


def _with_library_size(cells: Cells, settings: LibrarySize, rng: np.random.Generator) -> Cells:
    factor_b = np.ones(cells.n_batches)
    factor_b[settings.batch] = r = settings.ratio
    if settings.as_2020:
        factor_b[1 - settings.batch] = 3 - 2 * r if settings.batch == 0 else (3 - r) / 2
    rows = np.flatnonzero(factor_b[cells.batch] != 1)
    total_n = _totals(cells.counts)
    size_m = np.maximum(1, np.rint(total_n[rows] * factor_b[cells.batch[rows]])).astype(np.int64)
    broken = _redrawn(cells, rows, cells.counts[rows], size_m, rng)
    own = cells.batch == settings.batch
    achieved = _totals(broken)[own].sum() / total_n[own].sum()
    return _described(cells, broken, settings.batch, settings.ratio, float(achieved), "total counts")


def _with_fewer_genes(cells: Cells, settings: ExpressedGenes, rng: np.random.Generator) -> Cells:
    rows = np.flatnonzero(cells.batch == settings.batch)
    weight_mg = cells.counts[rows].astype(np.float64)
    for start, end in zip(weight_mg.indptr, weight_mg.indptr[1:], strict=False):
        n_kept = max(1, round(settings.ratio * (end - start)))
        weight_mg.data[start + rng.permutation(end - start)[n_kept:]] = 0
    broken = _redrawn(cells, rows, weight_mg, _totals(cells.counts)[rows], rng)
    achieved = broken[rows].nnz / cells.counts[rows].nnz
    return _described(cells, broken, settings.batch, settings.ratio, achieved, "expressed genes of a cell")


def _with_proportions(cells: Cells, settings: ExpressionProportion, rng: np.random.Generator) -> Cells:
    batch, factor = settings.batch, settings.ratio
    if settings.as_2020:
        batch, factor = (0, factor) if factor >= 1 else (1, 1 / factor)
    changed, making_room = _changed(cells, settings)
    rows = np.flatnonzero(cells.batch == batch)
    weight_mg = _proportions(cells.counts[rows], changed, making_room, factor, not settings.as_2020)
    broken = _redrawn(cells, rows, weight_mg, _totals(cells.counts)[rows], rng)
    achieved = _sum(broken[rows], changed) / _sum(cells.counts[rows], changed)
    return _described(cells, broken, batch, factor, achieved, f"proportion of {len(changed)} genes")


def _ranked(cells: Cells, settings: ExpressionProportion) -> Codes:
    """Genes that nearly all cells have counts of, by falling median counts."""
    share_g = 1 - cells.seen_g() / cells.n_cells
    common = np.flatnonzero(share_g < settings.zero_share)
    median = np.median(cells.counts[:, common].toarray(), axis=0) if common.size else np.zeros(0)
    return common[np.argsort(-median, kind="stable")][: settings.top_genes]


def _changed(cells: Cells, settings: ExpressionProportion) -> tuple[Codes, Codes]:
    """Genes that are changed, from rank ``floor(0.75 n)`` on, counted from 1; and those that make room."""
    ranked = _ranked(cells, settings)
    n_before = int(0.75 * len(ranked)) - 1
    making_room = np.sort(ranked)[: n_before + 1] if settings.as_2020 else ranked[:n_before]
    return ranked[n_before:], making_room


def _proportions(
    counts_mg: sp.csr_matrix, changed: Codes, making_room: Codes, factor: float, is_corrected: bool
) -> sp.csr_matrix:
    """Proportions of the genes in each cell, of which some are changed and others scaled to a sum of 1.

    Where these cannot make so much room, they go down to 0 and all are scaled.

    Raises
    ------
    RunFailed
        They would have to be negative, and that is not to be corrected.
    """
    share_mg = sp.csr_matrix(sp.diags(1 / _totals(counts_mg)) @ counts_mg.astype(np.float64))
    factor_g = np.ones(share_mg.shape[1])
    factor_g[changed] = factor
    share_mg.data *= factor_g[share_mg.indices]
    excess_m = np.asarray(share_mg.sum(axis=1)).ravel() - 1
    room_m = np.asarray(share_mg[:, making_room].sum(axis=1)).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        scale_m = (room_m - excess_m) / room_m
    n_negative = int((~(scale_m >= 0)).sum())
    if n_negative and not is_corrected:
        raise RunFailed(
            "perturb",
            f"perturb.as_2020=true: {n_negative} of {len(scale_m)} cells would get negative proportions, "
            "at which the code of 2020 stops. Use false, or a perturb.ratio nearer to 1",
        )
    is_room_g = np.isin(np.arange(len(factor_g)), making_room)
    row_e = np.repeat(np.arange(len(scale_m)), np.diff(share_mg.indptr))
    scale_m = np.where(room_m > 0, np.maximum(scale_m, 0), 1)
    share_mg.data *= np.where(is_room_g[share_mg.indices], scale_m[row_e], 1)
    return share_mg


def _redrawn(
    cells: Cells, rows: Codes, weight_mg: sp.csr_matrix, size_m: NDArray[np.int64], rng: np.random.Generator
) -> sp.csr_matrix:
    """Counts of all cells, with new ones in some rows: multinomial draws of so many by these weights."""
    drawn_mg = sp.csr_matrix(weight_mg, dtype=np.float64, copy=True)
    for i, (start, end) in enumerate(zip(drawn_mg.indptr, drawn_mg.indptr[1:], strict=False)):
        weight = drawn_mg.data[start:end]
        drawn_mg.data[start:end] = rng.multinomial(size_m[i], weight / weight.sum())
    whole = sp.vstack([cells.counts, drawn_mg.astype(np.float32)], format="csr")
    place = np.arange(cells.n_cells)
    place[rows] = cells.n_cells + np.arange(len(rows))
    return canonical(whole[place])


def _totals(counts_ng: sp.csr_matrix) -> NDArray[np.int64]:
    return np.asarray(counts_ng.sum(axis=1, dtype=np.float64)).ravel().astype(np.int64)


def _sum(counts_ng: sp.csr_matrix, genes: Codes) -> float:
    return float(counts_ng[:, genes].sum(dtype=np.float64))


def _described(
    cells: Cells, counts: sp.csr_matrix, batch: int, ratio: float, achieved: float, what: str
) -> Cells:
    said = f"{cells.batches[batch]}: {what} times {achieved:.4g}, {ratio:g} asked for"
    return replace(cells, counts=counts, perturbation=said)
