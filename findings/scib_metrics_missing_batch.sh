#!/usr/bin/env bash
# scib-metrics 0.6.1 (Python 3.12 or later): one cell without a batch makes kBET's acceptance rate 0.
#
# Batches and labels become the codes of a pandas.Categorical, of which a missing one is -1. It is counted as one more
# batch, and where counts are taken as those of the first in the alphabet: the batch that is one more is expected
# nowhere, kBET divides by its 0, and nan is no acceptance; iLISI is scaled by a batch that does not exist; in
# silhouettes a cell without a label is one of the first type. Nothing is said. silhouette_batch, of the same
# package, raises TypeError; scikit-learn's metrics refuse missing labels.
# Seen: 300 cells in two mixed batches: kBET 0.96, iLISI 0.77; one batch missing: 0.00 and 0.39; without that cell 0.96
# and 0.77. Three types with a silhouette score of 0.92: 0.87 with 20 labels missing, 0.92 without these cells.
# What it means: an integration that is good is scored as none. What helps: leave out cells without batch or label.
source "$(dirname "$0")/environment.bash"
packages scib-metrics==0.6.1 jax==0.12.0.1 anndata==0.13.4 scanpy==1.12.4 pandas==3.1.1 numpy==2.5.5 scipy==1.18.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy, scib_metrics
from scib_metrics.nearest_neighbors import NeighborsResults
from sklearn.neighbors import NearestNeighbors

rng = numpy.random.default_rng(0)
z = numpy.vstack([rng.normal(size=(100, 5)) + centre for centre in (0, 8, 16)]).astype("float32")
label = numpy.repeat(numpy.array(["A", "B", "C"], object), 100)
batch = numpy.array(["p", "q"], object)[rng.integers(0, 2, 300)]


def mixing(keep, batch):
    distances, indices = NearestNeighbors(n_neighbors=30).fit(z[keep]).kneighbors(z[keep])
    near = NeighborsResults(indices=indices, distances=distances)
    scores = scib_metrics.kbet(near, batch[keep])[0], scib_metrics.ilisi_knn(near, batch[keep])
    return [round(float(score), 2) for score in scores]


def silhouette(keep, label):
    return round(float(scib_metrics.silhouette_label(z[keep], label[keep])), 2)


everyone, but_one = numpy.arange(300), numpy.arange(1, 300)
gap, unnamed = batch.copy(), label.copy()
gap[0], unnamed[280:] = numpy.nan, numpy.nan
whole, missing, left_out = mixing(everyone, batch), mixing(everyone, gap), mixing(but_one, gap)
types = silhouette(everyone, label), silhouette(everyone, unnamed), silhouette(everyone[:280], unnamed)
print(f"scib-metrics {version('scib-metrics')}: kBET, iLISI {whole}; one batch missing {missing}; left out {left_out}")
print(f"silhouette of labels {types[0]}; 20 missing {types[1]}; left out {types[2]}")
assert whole[0] > 0.9 and left_out[0] > 0.9 and missing[0] == 0
assert missing[1] < 0.6 * whole[1] and abs(left_out[1] - whole[1]) < 0.05
assert types[1] < types[0] - 0.03 and abs(types[2] - types[0]) < 0.01
END
