"""Memory and time of training on a file like those of CELLxGENE: normalised X, counts in raw.X, many genes.

    python -m benchmarks.raw_counts [--cells 200000] [--genes 30000] [--density 0.033]

Prints what the process has needed after each step; metrics are not computed.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp

from benchmarks.large_counts import cells, write_rows
from bie.data.load import load
from bie.experiment import split, streams_of, with_genes
from bie.methods import build_embedder
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder

BATCHES, DISTINCT = 8, 5_000
GIB = 2**30


def main() -> None:
    """Print the size of the counts in memory, and the most that the process needed, before any score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--genes", type=int, default=30_000)
    parser.add_argument("--density", type=float, default=0.033)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train:
        train(asked.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "atlas.h5ad")
        n_entries = write(path, asked.cells, asked.genes, asked.density)
        print(
            f"{asked.cells:,} cells x {asked.genes:,} genes, counts {n_entries * 8 / GIB:.2f} GiB", flush=True
        )
        command = [sys.executable, "-m", "benchmarks.raw_counts", "--train", str(path)]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


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
        write_rows(file.create_group("raw/X"), pattern, row_n, "lzf")
        logged = sp.csr_matrix((np.log1p(pattern.data), pattern.indices, pattern.indptr), pattern.shape)
        write_rows(file.create_group("X"), logged, row_n, "lzf")
        return int(file["raw/X/data"].shape[0])


def train(path: Path) -> None:
    """Read the file, choose the genes, train for an epoch; say what each has needed."""
    typed = ["dataset=h5ad", f"dataset.path={path}", "dataset.layer=raw.X", "dataset.batch_key=donor_id"]
    typed += ["dataset.label_key=cell_type", "dataset.n_top_genes=2000", "train=smoke", "train.epochs=1"]
    config = expand(typed, Configurations(configuration_folder())).combinations[0].config
    said("nothing read yet")
    cells = load(config.dataset)
    said("read and checked")
    said(f"hashed ({cells.sha256[:12]})")
    parts, chosen = split(config, cells), with_genes(config, cells)
    said(f"{chosen.n_genes:,} genes chosen")
    embedder = build_embedder(config.model, config.penalty, config.train)
    embedder.fit(chosen, parts["train"], parts["test"], streams_of(config), lambda row: None)
    said("an epoch trained")


def said(what: str) -> None:
    """Print the largest size of this process until now, and its seconds of CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{what}: {used.ru_maxrss * 1024 / GIB:.2f} GiB at most, {used.ru_utime:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
