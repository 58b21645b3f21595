"""Memory and time of a run on a file like those of CELLxGENE: normalised X, counts in raw.X, many genes.

python -m benchmarks.raw_counts [--cells 200000] [--genes 30000] [--density 0.033]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp

from benchmarks.large_counts import cells, write_rows

BATCHES, DISTINCT = 8, 10_000
GIB = 2**30


def main() -> None:
    """Print the size of the counts in memory, and the most that any process of the run needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--genes", type=int, default=30_000)
    parser.add_argument("--density", type=float, default=0.033)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "atlas.h5ad")
        n_entries = write(path, asked.cells, asked.genes, asked.density)
        seconds = run(path, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(
        f"{asked.cells:,} cells x {asked.genes:,} genes, counts {n_entries * 8 / GIB:.2f} GiB; "
        f"the largest process {peak / GIB:.2f} GiB; {seconds:.0f} s"
    )


def write(path: Path, n_cells: int, n_genes: int, density: float) -> int:
    """Write the file; its number of entries."""
    import pandas as pd
    from anndata.io import write_elem

    random = np.random.default_rng(0)
    pattern, kind = cells(random, min(n_cells, DISTINCT), n_genes, density)
    row_n = random.integers(len(kind), size=n_cells)
    table = {"donor_id": np.arange(n_cells) % BATCHES, "cell_type": kind[row_n]}
    with h5py.File(path, "w") as file:
        obs = pd.DataFrame(table, index=[f"c{n}" for n in range(n_cells)]).astype("category")
        write_elem(file, "obs", obs)
        genes = pd.DataFrame(index=[f"ENSG{g:011d}" for g in range(n_genes)])
        write_elem(file, "var", genes)
        write_elem(file, "raw/var", genes)
        write_rows(file.create_group("raw/X"), pattern, row_n)
        logged = sp.csr_matrix((np.log1p(pattern.data), pattern.indices, pattern.indptr), pattern.shape)
        write_rows(file.create_group("X"), logged, row_n)
        return int(file["raw/X/data"].shape[0])


def run(path: Path, folder: Path) -> float:
    """One epoch and its scores; seconds."""
    typed = f"dataset=h5ad dataset.path={path} dataset.layer=raw.X dataset.batch_key=donor_id"
    typed += " dataset.label_key=cell_type dataset.n_top_genes=2000 train=smoke train.epochs=1"
    typed += f" metrics.kmeans.n_init=1 outputs={folder}/outputs"
    started = time.perf_counter()
    command = [sys.executable, "-m", "bie.run", *typed.split()]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
