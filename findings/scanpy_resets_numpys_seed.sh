#!/usr/bin/env bash
# scanpy 1.11.5 (and 1.12.4): after score_genes or subsample every replicate draws the same numbers, whatever its seed.
#
# Both have random_state=0 and apply it by numpy.random.seed: numpy's global generator then is the one of seed 0 for
# all that follows in the process. Whatever goes by it without a generator of its own, scikit-learn's splits and
# k-means with random_state=None among them, so repeats itself between runs that were seeded differently. The
# documentation calls random_state the seed "for sampling" and says nothing of others; normalisation, PCA,
# neighbours, UMAP, t-SNE and the newer sample leave the generator as it was.
# Seen: five seeds, five different test sets of 20 of 100 cells; with score_genes (or subsample) between the seed and the
# split one set for all five.
# What it means: replicates agree too well, and their spread says nothing. What helps: a generator or random_state of
# one's own for each step; score_genes(random_state=None), which draws from the global one.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import anndata, numpy, pandas, scanpy
from sklearn.model_selection import train_test_split

counts = numpy.random.default_rng(0).poisson(1, (100, 60)).astype("float32")
steps = {
    "no step": lambda data: None,
    "normalize_total": scanpy.pp.normalize_total,
    "score_genes": lambda data: scanpy.tl.score_genes(data, ["g1", "g2"]),
    "score_genes, random_state=None": lambda data: scanpy.tl.score_genes(data, ["g1", "g2"], random_state=None),
    "subsample": lambda data: scanpy.pp.subsample(data, 0.5, copy=True),
    "sample": lambda data: scanpy.pp.sample(data, 0.5, copy=True),
}


def test_sets(step):
    """The number of different test sets that five seeds lead to with this step before the split."""
    found = set()
    for seed in range(5):
        numpy.random.seed(seed)
        step(anndata.AnnData(counts.copy(), var=pandas.DataFrame(index=[f"g{i}" for i in range(60)])))
        found.add(tuple(sorted(train_test_split(numpy.arange(100), test_size=20)[1].tolist())))
    return len(found)


found = {name: test_sets(step) for name, step in steps.items()}
print(f"scanpy {version('scanpy')}: different test sets of five seeds: {found}")
assert found.pop("score_genes") == found.pop("subsample") == 1
assert set(found.values()) == {5}
END
