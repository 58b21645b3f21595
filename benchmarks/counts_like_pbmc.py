"""Counts of the size of the PBMC set of the scVI study, from a zero-inflated negative binomial model."""

from pathlib import Path

import numpy as np
import scipy.sparse as sp

N_CELLS, N_GENES, N_TYPES, N_BATCHES = 11_990, 3_346, 9, 2
TRAIN_FRACTION = 0.6  # 7,194 training cells


def write(path: Path, seed: int = 0) -> None:
    """Write an .h5ad file with ``obs["batch"]``; about 8 % of the counts are not zero, 950 a cell."""
    import anndata
    import pandas as pd

    counts, batch = simulate(np.random.default_rng(seed))
    cells = pd.DataFrame({"batch": pd.Categorical(batch.astype(str))}, index=names("c", N_CELLS))
    anndata.AnnData(counts, obs=cells, var=pd.DataFrame(index=names("g", N_GENES))).write_h5ad(path)


def names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


def simulate(random: np.random.Generator) -> tuple[sp.csr_matrix, np.ndarray]:
    """Counts x_ng and batch_n."""
    gene = random.normal(-1, 2.5, N_GENES)
    of_type = random.normal(0, 1, (N_TYPES, N_GENES)) * (random.random((N_TYPES, N_GENES)) < 0.1)
    of_batch = random.normal(0, 0.25, (N_BATCHES, N_GENES))
    kind = random.choice(N_TYPES, N_CELLS, p=random.dirichlet(np.full(N_TYPES, 5.0)))
    batch = random.choice(N_BATCHES, N_CELLS, p=[0.65, 0.35])
    theta = np.exp(random.normal(0.5, 0.7, N_GENES))
    total = np.exp(random.normal(np.log(900), 0.45, N_CELLS))
    parts = []
    for rows in np.array_split(np.arange(N_CELLS), 12):
        share = np.exp(gene + of_type[kind[rows]] + of_batch[batch[rows]])
        mean = total[rows, None] * share / share.sum(1, keepdims=True)
        counts = random.poisson(mean * random.gamma(theta, 1 / theta, mean.shape))
        counts[random.random(counts.shape) < 0.05] = 0
        parts.append(sp.csr_matrix(counts.astype(np.float32)))
    counts = sp.vstack(parts, format="lil")
    unseen = np.flatnonzero(counts.sum(0) == 0)
    counts[random.choice(N_CELLS, len(unseen)), unseen] = 1  # bie takes no gene without counts
    return counts.tocsr(), batch
