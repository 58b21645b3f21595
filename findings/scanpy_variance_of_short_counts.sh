#!/usr/bin/env bash
# scanpy 1.11.5 (and 1.12.4): dense counts in uint16 have other highly variable genes than the same in int32.
#
# highly_variable_genes(flavor="seurat_v3") takes raw counts. The variance of a dense matrix is the mean of the squares
# less the square of the mean, and squares are taken in the type of the counts: in uint16 those of 256 and more do not
# fit, and wrap around. Variances come out too small, some negative. Nothing is said, no more than numpy does. Sparse
# counts of the same type are right there; in get.aggregate(func="var") they are wrong as well (in 1.12.4 not).
# Seen: 200 cells, 50 genes, counts up to 1,140. Of the 10 highly variable genes of the dense counts 2 are among those
# of int32 and of sparse uint16, and 6 of 50 variances are negative. By get.aggregate 18 of 50 variances of one group
# are wrong, dense and sparse.
# What it means: genes with high counts (mitochondrial and ribosomal ones, proteins, small panels) get their rank from
# the number type of the file.
# What helps: adata.X.astype("float32") before, or a sparse matrix for the choice of genes.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 scikit-misc==0.5.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import anndata, numpy, pandas, scanpy
from scipy.sparse import csr_matrix

rng = numpy.random.default_rng(0)
counts = rng.negative_binomial(2, 2 / (2 + rng.gamma(1, 60, 50)), (200, 50))
groups = pandas.Categorical(["a", "b"] * 100)


def chosen(matrix):
    """The genes chosen and all variances."""
    data = anndata.AnnData(matrix)
    scanpy.pp.highly_variable_genes(data, flavor="seurat_v3", n_top_genes=10)
    return set(numpy.flatnonzero(data.var["highly_variable"])), data.var["variances"].to_numpy()


def aggregated(matrix):
    """The variances of group a."""
    data = anndata.AnnData(matrix, obs=pandas.DataFrame({"group": groups}, index=[str(n) for n in range(200)]))
    return numpy.asarray(scanpy.get.aggregate(data, "group", "var").layers["var"])[0]


right, variances = chosen(counts.astype("int32"))
short, wrong = chosen(counts.astype("uint16"))
sparse, same = chosen(csr_matrix(counts.astype("uint16")))
of_a = counts[::2].var(axis=0, ddof=1)
both = (aggregated(kind(counts.astype("uint16"))) for kind in (numpy.array, csr_matrix))
off = [int((~numpy.isclose(found, of_a)).sum()) for found in both]
common, negative = len(short & right), int((wrong < 0).sum())
print(f"scanpy {version('scanpy')}, counts up to {counts.max()}: of 10 genes, uint16 shares with int32 {common}")
print(f"as sparse uint16 {len(sparse & right)}; negative variances of dense uint16 {negative} of 50")
print(f"get.aggregate, wrong variances of uint16, dense and sparse: {off} of 50")
assert sparse == right and numpy.allclose(same, variances) and numpy.allclose(variances, counts.var(axis=0, ddof=1))
assert common <= 4 and negative >= 5 and (counts >= 256).any()
assert min(off) >= 5 and numpy.allclose(aggregated(counts.astype("int32")), of_a)
END
