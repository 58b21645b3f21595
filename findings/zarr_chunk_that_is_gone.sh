#!/usr/bin/env bash
# zarr 3.1.6 (and 3.4.2), anndata 0.12.19: a store of which a file was not copied is read without a word.
#
# A chunk that is not in a store means the fill value, 0, by the specification: empty chunks are not written. So where
# a copy or a download stopped, or one file was lost, its numbers are zeros. Of a sparse matrix these may be the
# columns of its entries: all counts then lie in the first gene, and the total, the number of entries and the totals
# of the cells are what they were. An .h5ad cut short cannot be opened.
# Seen: 1 file of the store deleted: total 1994 before and after, 100 of 100 cells with the same total as before,
# genes with counts: 20 before, 1 after.
# What helps: array.nchunks_initialized == array.nchunks for data, indices and indptr, which hold no empty chunks;
# not where they are sharded (zarr_chunks_of_shards.sh).
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 zarr==3.1.6 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
import tempfile
from pathlib import Path

import anndata, numpy, zarr
from scipy.sparse import csr_matrix

counts = csr_matrix(numpy.random.default_rng(0).poisson(1, (100, 20)).astype("float32"))
with tempfile.TemporaryDirectory() as folder:
    store = Path(folder, "data.zarr")
    anndata.AnnData(counts).write_zarr(store)
    (chunk,) = [path for path in (store / "X" / "indices").rglob("*") if path.name == "0"]
    chunk.unlink()
    read = anndata.read_zarr(store).X.toarray()
    indices = zarr.open_group(store, mode="r", use_consolidated=False)["X/indices"]
    said = f"{indices.nchunks_initialized} of {indices.nchunks} chunks"
before = counts.toarray()
same = int((read.sum(axis=1) == before.sum(axis=1)).sum())
genes = [int((x.sum(axis=0) > 0).sum()) for x in (before, read)]
print(
    f"zarr {zarr.__version__}, anndata {anndata.__version__}: total {before.sum():.0f} before, {read.sum():.0f} after; "
    f"{same} of 100 cells with the same total; genes with counts {genes[0]} before, {genes[1]} after; {said} there"
)
assert read.sum() == before.sum() and same == 100 and genes == [20, 1] and said == "0 of 1 chunks"
END
