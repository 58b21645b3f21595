"""The one form in which the rest of the code sees a data set."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_BLOCK = 2**20


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of n cells in g genes, with the batch and perhaps the type of every cell.

    Attributes
    ----------
    counts
        x_ng, float32 holding whole numbers >= 0 (counts); canonical CSR: sorted indices, no duplicates, no
        explicit zeros. See `canonical`.
    batch
        batch_n, codes 0 to B-1.
    batches
        Names of the B batches.
    label
        label_n, codes of the cell types, or None where nobody labelled the cells.
    labels
        Names of the cell types, () without labels.
    cell_names, gene_names
        Arrays of str, shapes (n,) and (g,).
    library_prior
        Over which cells the moments of the log library size are taken: each batch's own (Lopez et al. 2018),
        or all cells pooled, as the 2019 study's loader of the retina set did.
    perturbation
        What was done to the cells on purpose (`bie.data.perturb`), with what it came to; empty: nothing.
    notes
        What a user should know about these cells, a line each; no part of their content.
    factors
        factor_nf, the values of the generative factors of every cell, where they are known; else None.
    """

    counts: sp.csr_matrix
    batch: NDArray[np.int64]
    batches: tuple[str, ...]
    label: NDArray[np.int64] | None
    labels: tuple[str, ...]
    cell_names: NDArray[np.str_]
    gene_names: NDArray[np.str_]
    library_prior: Literal["batch", "pooled"] = "batch"
    perturbation: str = ""
    notes: tuple[str, ...] = ()
    factors: NDArray[np.float64] | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells, n."""
        return int(self.counts.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes, g."""
        return int(self.counts.shape[1])

    @property
    def n_batches(self) -> int:
        """Number of batches, B."""
        return len(self.batches)

    @property
    def n_labels(self) -> int:
        """Number of cell types, 0 without labels."""
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole content; the same on every machine, whatever file or index width it came from."""
        header = [self.counts.shape, self.batches, self.labels, self.library_prior, self.label is not None]
        label = np.zeros(0, np.int64) if self.label is None else self.label
        names = [self.cell_names.tolist(), self.gene_names.tolist()]
        known = [] if self.factors is None else [(self.factors.ravel(), "<f8")]
        return _sha256([*header, *names], [*self._counts_and_batch(), (label, "<i8"), *known])

    @cached_property
    def unlabelled_sha256(self) -> str:
        """Hash of counts and batches alone: the same whoever named the types, the cells or the genes."""
        return _sha256([self.counts.shape, self.batches], self._counts_and_batch())

    @property
    def hashes(self) -> dict[str, str]:
        """Both hashes by name: what identities are made of (`bie.store.identity`)."""
        return {"sha256": self.sha256, "unlabelled_sha256": self.unlabelled_sha256}

    def _counts_and_batch(self) -> list[tuple[NDArray[Any], str]]:
        """Arrays, each with the type in which it is hashed."""
        counts = self.counts
        return [(counts.indptr, "<i8"), (counts.indices, "<i4"), (counts.data, "<f4"), (self.batch, "<i8")]

    def seen_g(self) -> NDArray[np.int64]:
        """In how many cells each gene has a count; some entries at a time, to spare the memory."""
        indices, total_g = self.counts.indices, np.zeros(self.n_genes, np.int64)
        for start in range(0, len(indices), _BLOCK):
            total_g += np.bincount(indices[start : start + _BLOCK], minlength=self.n_genes)
        return total_g

    def library_moments(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and variance of the log total counts of a cell, for each batch.

        These are the parameters of scVI's log-normal prior of the library size (Lopez et al. 2018). A batch
        whose totals are all the same, such as one of a single cell, tells a mean but no spread: it gets the
        variance of all cells of the data set, which is 0 only where all these have the same total.

        Returns
        -------
        mean_b, var_b
            Shape (B,), in log counts; the variance is the population's (ddof 0).
        """
        log_total_n = np.log(np.asarray(self.counts.sum(axis=1, dtype=np.float64)).ravel())
        rows_b = [self.batch == b for b in range(self.n_batches)]
        if self.library_prior == "pooled":
            rows_b = [np.full(self.n_cells, True)] * self.n_batches
        mean_b = [log_total_n[rows].mean() for rows in rows_b]
        var_b = [_variance(log_total_n[rows]) or _variance(log_total_n) for rows in rows_b]
        return np.array(mean_b, np.float32), np.array(var_b, np.float32)


def _sha256(header: list[Any], parts: list[tuple[NDArray[Any], str]]) -> str:
    """Hash of a header, as JSON, and of arrays in the types given."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for array, dtype in parts:
        for start in range(0, len(array), _BLOCK):  # a conversion never holds more than a block
            digest.update(np.ascontiguousarray(array[start : start + _BLOCK], dtype).data)
    return digest.hexdigest()


def _variance(values: NDArray[np.float64]) -> float:
    """Of the population; exactly 0 where all are equal, which rounding of their mean could hide."""
    return float(values.var()) if np.ptp(values) else 0.0


def canonical(matrix: Any) -> sp.csr_matrix:
    """Bring any SciPy sparse matrix of counts into the form that `Cells.counts` has.

    Parameters
    ----------
    matrix
        Sparse, shape (n, g), whole numbers up to 2**24 (which float32 holds exactly); may change in place.
    """
    x_ng = sp.csr_matrix(matrix, dtype=np.float32)
    x_ng.sum_duplicates()
    x_ng.eliminate_zeros()
    return x_ng
