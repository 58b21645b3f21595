"""Counts of any size on disk, made and written some rows at a time; see `write`."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sp

N_TYPES, N_DISTINCT, ROWS = 9, 20_000, 20_000


def write(path: Path, n_cells: int, n_genes: int, n_batches: int, density: float = 0.08) -> None:
    """Write an .h5ad file (gzip) with ``obs["batch"]`` and ``obs["cell_type"]``.

    Cells beyond the first 20,000 are draws from these: time and memory do not depend on what is counted.
    """
    import pandas as pd
    from anndata.io import write_elem

    random = np.random.default_rng(0)
    pattern, kind = cells(random, min(n_cells, N_DISTINCT), n_genes, density)
    row_n = np.concatenate([np.arange(len(kind)), random.integers(len(kind), size=n_cells - len(kind))])
    table = {"batch": np.arange(n_cells) % n_batches, "cell_type": kind[row_n]}
    with h5py.File(path, "w") as file:
        write_elem(
            file, "obs", pd.DataFrame(table, index=[f"c{n}" for n in range(n_cells)]).astype("category")
        )
        write_elem(file, "var", pd.DataFrame(index=[f"g{g}" for g in range(n_genes)]))
        write_rows(file.create_group("X"), pattern, row_n)


def cells(
    random: np.random.Generator, n: int, n_genes: int, density: float
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Counts of cells of `N_TYPES` types, about so many of them not zero; every gene is seen."""
    kind = random.integers(N_TYPES, size=n)
    level_kg = np.exp(random.normal(0, 1.5, n_genes) + random.normal(0, 0.5, (N_TYPES, n_genes)))
    for _ in range(20):
        level_kg *= density / np.mean(-np.expm1(-level_kg))
    parts = [
        sp.csr_matrix(random.poisson(level_kg[kind[i : i + 1000]]).astype(np.float32))
        for i in range(0, n, 1000)
    ]
    seen = np.concatenate([np.arange(n), random.integers(n, size=n_genes)])  # no cell or gene without counts
    at = np.concatenate([random.integers(n_genes, size=n), np.arange(n_genes)])
    counts = sp.vstack(parts) + sp.csr_matrix((np.ones(len(seen), np.float32), (seen, at)), (n, n_genes))
    return sp.csr_matrix(counts), kind


def write_rows(
    group: h5py.Group, pattern: sp.csr_matrix, row_n: np.ndarray, compression: str | None = "gzip"
) -> None:
    """Those rows of a matrix, as AnnData stores CSR."""
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = (len(row_n), pattern.shape[1])
    group["indptr"] = np.concatenate([[0], np.cumsum(np.diff(pattern.indptr)[row_n])])
    options: dict[str, Any] = {"maxshape": (None,), "chunks": (2**17,), "compression": compression}
    options |= {"compression_opts": 1} if compression == "gzip" else {}
    stored = {
        name: group.create_dataset(name, (0,), dtype, **options)
        for name, dtype in (("data", "f4"), ("indices", "i4"))
    }
    for start in range(0, len(row_n), ROWS):
        part = pattern[row_n[start : start + ROWS]]
        for name, dataset in stored.items():
            dataset.resize((len(dataset) + part.nnz,))
            dataset[-part.nnz :] = getattr(part, name)
