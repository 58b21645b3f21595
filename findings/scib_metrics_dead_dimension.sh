#!/usr/bin/env bash
# scib-metrics 0.6.1 (Python 3.12 or later): a latent dimension that is constant raises a method's rank in Benchmarker.
#
# The principal component regression divides by the variance of each component. A column of zeros (or of any number
# that is its own mean in float32), as a collapsed dimension of a latent space may be, gives a component of variance 0
# and 0/0: PCR comparison is nan, although that component has no weight. Benchmarker.get_results then averages what is
# left: this method's aggregate and total are means over one metric less. Nothing is said of it.
# Seen: an embedding that leaves the batch effect in one direction has PCR comparison 0.31, batch correction 0.52 and
# total 0.77; with a column of zeros beside it, everything else the same, nan, 0.58 and 0.80.
# What it means: totals are compared that are not of the same metrics. What helps: drop constant columns,
# z[:, z.std(axis=0) > 0]; get_results().isna().any().
source "$(dirname "$0")/environment.bash"
packages scib-metrics==0.6.1 jax==0.12.0.1 anndata==0.13.4 scanpy==1.12.4 pandas==3.1.1 numpy==2.5.5 scipy==1.18.1
"$python" - <<'END'
import warnings
from importlib.metadata import version

import anndata, numpy, pandas
from scib_metrics.benchmark import Benchmarker
from scib_metrics.nearest_neighbors import NeighborsResults
from sklearn.neighbors import NearestNeighbors

rng = numpy.random.default_rng(0)
n = 300
batch, kind = rng.integers(0, 2, n), rng.integers(0, 3, n)
z = rng.normal(size=(n, 5)) + 8 * numpy.eye(5)[kind]
z[:, 4] += 2.5 * batch
before = z.copy()
before[:, 4] += 0.5 * batch
dead = numpy.column_stack([z, numpy.zeros(n)])
obs = pandas.DataFrame({"batch": batch.astype(str), "type": kind.astype(str)}, index=[f"c{i}" for i in range(n)])
data = anndata.AnnData(numpy.zeros((n, 1), "float32"), obs=obs)
data.obsm.update({"before": before.astype("float32"), "z": z.astype("float32"), "dead": dead.astype("float32")})


def neighbours(z, k):
    distances, indices = NearestNeighbors(n_neighbors=k).fit(z).kneighbors(z)
    return NeighborsResults(indices=indices, distances=distances)


run = Benchmarker(data, "batch", "type", ["z", "dead"], pre_integrated_embedding_obsm_key="before", progress_bar=False)
run.prepare(neighbours)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    run.benchmark()
    table = run.get_results().loc[["z", "dead"]].astype(float)
columns = ["PCR comparison", "Batch correction", "Bio conservation", "Total"]
print(f"scib-metrics {version('scib-metrics')}:\n{table[columns].round(3)}")
same = table.columns.difference(["PCR comparison", "Batch correction", "Total"])
print(f"{len(same)} columns alike within {abs(table.loc['z', same] - table.loc['dead', same]).max():.1e}")
print(f"nan: {table.columns[table.isna().any()].tolist()}; warnings {sorted({str(each.message)[:60] for each in said})}")
assert numpy.isnan(table.loc["dead", "PCR comparison"]) and table.loc["z", "PCR comparison"] > 0
assert abs(table.loc["z", same] - table.loc["dead", same]).max() < 1e-4
assert table.loc["dead", "Total"] > table.loc["z", "Total"] + 0.01
assert not any("nan" in str(each.message).lower() for each in said)
END
