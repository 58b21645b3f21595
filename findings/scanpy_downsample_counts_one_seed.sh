#!/usr/bin/env bash
# scanpy 1.11.5 (and 1.12.4): downsample_counts by cell keeps 35 % of one gene's counts and 61 % of another's.
#
# Each cell's counts are laid out in the order of the genes and a random choice of their positions is kept. The
# generator is set to random_state anew for each cell, so that cells of the same total keep the same positions and those
# of similar totals similar ones. Chance so does not average out over cells: it becomes a factor for each gene, the same
# in all of them. The documentation calls random_state the seed and says "each cell will [be] downsampled".
# total_counts=..., one choice for the whole matrix, is not concerned.
# Seen: 500 cells of about 1,000 counts, halved: of the genes with more than 5,000 counts, for which chance allows a
# share of 0.50 +- 0.007, one keeps 0.35 and one 0.61, with random_state=1 0.44 and 0.64; numpy's binomial
# keeps 0.485 to 0.513. Five cells with the same counts keep exactly the same ones.
# What it means: data brought to a common depth, as for comparing batches, get differences between genes that are none.
# What helps: numpy.random.Generator.binomial or multivariate_hypergeometric on each cell's counts.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import anndata, numpy, scanpy
from scipy.sparse import csr_matrix

rng = numpy.random.default_rng(0)
counts = rng.poisson(1000 * rng.dirichlet(numpy.full(100, 0.5)), (500, 100)).astype("float32")
common = counts.sum(axis=0) > 5000


def halved(matrix, seed):
    data = anndata.AnnData(csr_matrix(matrix))
    scanpy.pp.downsample_counts(data, counts_per_cell=(matrix.sum(axis=1) // 2).astype(int), random_state=seed)
    return data.X.toarray()


def shares(kept):
    """The smallest and the largest share of a common gene's counts that were kept."""
    share = (kept.sum(axis=0) / counts.sum(axis=0))[common]
    return round(float(share.min()), 3), round(float(share.max()), 3)


found = {seed: shares(halved(counts, seed)) for seed in (0, 1)}
binomial = shares(rng.binomial(counts.astype(int), 0.5))
total = anndata.AnnData(csr_matrix(counts))
scanpy.pp.downsample_counts(total, total_counts=int(counts.sum() // 2))
whole = shares(total.X.toarray())
same = halved(numpy.tile(counts[0], (5, 1)), 0)
chance = (0.25 / counts.sum(axis=0)[common]) ** 0.5
print(f"scanpy {version('scanpy')}: {common.sum()} genes, share kept by random_state {found}, total_counts {whole}")
alike = len(numpy.unique(same, axis=0))
print(f"chance allows 0.5 +- {chance.max():.3f}; numpy's binomial {binomial}; 5 equal cells become {alike} kind")
for low, high in found.values():
    assert low < 0.45 and high > 0.6
for low, high in (binomial, whole):
    assert 0.47 < low and high < 0.53
assert alike == 1
END
