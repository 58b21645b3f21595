#!/usr/bin/env bash
# scib-metrics 0.6.1 (Python 3.12 or later): a batch that a cell type lacks scores it as perfectly mixed, by its name.
#
# Labels and batches are replaced by the codes of pandas.Categorical, which keeps the levels of a categorical column, as
# those of obs are, also where no cell has them. silhouette_batch takes the cells of one type at a time: a batch without
# any of them is an empty cluster at a distance of 0/0, every silhouette of the type becomes nan, nan is made 0, and
# 0 is the best there is. Of a level unused in all cells, silhouette_label so makes 0.5; kBET, which counts the used
# levels and takes their codes to be consecutive, 0. Where the unused level is the last by name all is right. Nothing
# is said. Text instead of a categorical (as in Benchmarker) is not concerned, nor is bras.
# Seen: three types in batches p, q, r, of which r is far off. One type without q: silhouette_batch 0.46 with batches as
# text and 0.76 as a categorical; one without r: 0.52 and 0.52. Three types apart: silhouette_label 0.92, with an unused
# level in the middle 0.5, at the end 0.92; kBET 0.99, 0 and 0.99.
# What it means: obs.loc[mask], or a type that one donor lacks, changes scores. What helps: numpy.asarray(obs[column]).
source "$(dirname "$0")/environment.bash"
packages scib-metrics==0.6.1 jax==0.12.0.1 anndata==0.13.4 scanpy==1.12.4 pandas==3.1.1 numpy==2.5.5 scipy==1.18.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy, pandas, scib_metrics
from scib_metrics.nearest_neighbors import NeighborsResults
from sklearn.neighbors import NearestNeighbors

rng = numpy.random.default_rng(0)
z = numpy.vstack([rng.normal(size=(60, 5)) + centre for centre in (0, 8, 16)]).astype("float32")
label = numpy.repeat(["A", "C", "D"], 60)
batch = rng.choice(["p", "q", "r"], 180)
far = z.copy()
far[batch == "r", 0] += 30


def mixing(lacking):
    """silhouette_batch where the second type lacks this batch: batches as text and as a categorical."""
    other = {"q": "p", "r": "p"}[lacking]
    b = numpy.where((label == "C") & (batch == lacking), other, batch)
    forms = b, pandas.Series(b).astype("category")
    return [round(float(scib_metrics.silhouette_batch(far, pandas.Series(label), form)), 2) for form in forms]


def types(levels):
    labels = pandas.Series(label if levels is None else pandas.Categorical(label, categories=list(levels)))
    return round(float(scib_metrics.silhouette_label(z, labels)), 2)


def kbet(levels):
    distances, indices = NearestNeighbors(n_neighbors=30).fit(z).kneighbors(z)
    near = NeighborsResults(indices=indices, distances=distances)
    batches = batch if levels is None else pandas.Categorical(batch, categories=list(levels))
    return round(float(scib_metrics.kbet(near, batches)[0]), 2)


lacking = {name: mixing(name) for name in "qr"}
silhouette = [types(levels) for levels in (None, "ABCD", "ACDX")]
rate = [kbet(levels) for levels in (None, "pPqr", "pqrz")]
print(f"scib-metrics {version('scib-metrics')}: silhouette_batch, a type without a batch, text and categorical: {lacking}")
print(f"text, unused level in the middle, last: silhouette_label {silhouette}, kBET {rate}")
assert lacking["q"][1] > lacking["q"][0] + 0.2 and lacking["r"][0] == lacking["r"][1]
assert silhouette[0] == silhouette[2] > 0.9 and silhouette[1] == 0.5
assert rate[0] == rate[2] > 0.4 and rate[1] == 0
END
