#!/usr/bin/env bash
# scib-metrics 0.6.1 (Python 3.12 or later): graph connectivity of one well-mixed type falls with the latent dimensions.
#
# The score is the share of a type's cells in the largest connected part of its neighbour graph. In scib, whose metric
# it is, the graph is scanpy's connectivities, which go both ways. Here it is of "each cell's k nearest neighbours",
# which goes one way, and a part must be connected in both ("strong"): a cell that is nobody's neighbour is a part of
# its own. The more dimensions, the more such cells there are (hubs take their places), wherever the batches lie. The
# page of the metric does not say so.
# Seen: 1,000 cells of one normal distribution, 15 neighbours: 1.00 in 5 dimensions, 0.98 in 10, 0.91 in 30, 0.90 in
# 50, where 3, 19, 83 and 84 cells are nobody's neighbour; on the same neighbours taken both ways 1 in all of them.
# What it means: a model with 10 latent dimensions beats one with 30 in "batch correction" that both do alike, and
# scores are not those of papers that used scib. What helps: compare embeddings of the same number of dimensions.
source "$(dirname "$0")/environment.bash"
packages scib-metrics==0.6.1 jax==0.12.0.1 anndata==0.13.4 scanpy==1.12.4 pandas==3.1.1 numpy==2.5.5 scipy==1.18.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy, scib_metrics
from scib_metrics.nearest_neighbors import NeighborsResults
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

rng = numpy.random.default_rng(0)
n, k, found = 1000, 15, {}
for dimensions in (5, 10, 30, 50):
    z = rng.normal(size=(n, dimensions))
    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(z).kneighbors(z)
    near = NeighborsResults(indices=indices, distances=distances)
    score = float(scib_metrics.graph_connectivity(near, numpy.zeros(n)))
    _, part = connected_components(near.knn_graph_connectivities, connection="strong")
    both = numpy.bincount(part).max() / n
    nobody = n - len(numpy.unique(indices[:, 1:]))
    found[dimensions] = score, both, nobody
    print(f"scib-metrics {version('scib-metrics')}, {dimensions} dimensions: {score:.3f}, both ways {both:.3f}, {nobody} alone")
assert found[5][0] > 0.98 and found[10][0] > found[30][0] + 0.03 and found[30][0] < 0.95
assert all(both == 1 for _, both, _ in found.values())
END
