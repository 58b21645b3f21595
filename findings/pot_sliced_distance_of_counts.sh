#!/usr/bin/env bash
# POT 0.9.7.post1: the sliced distance of integer counts is 0, whatever they are.
#
# sliced_wasserstein_distance and max_sliced_wasserstein_distance draw their directions in the number type of the data.
# They are unit vectors, whose parts are below 1: as integers all are 0, and so are all projections. wasserstein_1d
# does so with the weights, 1 over the number of cells. Nothing is said. The documentation asks for arrays, of any type;
# of the same integers emd2_1d is right, and so is the exact distance of several dimensions.
# Seen: 100 cells and 100 others, 20 genes, 5 counts a gene and 20: sliced 15.15 of float32, 0.0 of int64, int32 and
# uint16; max-sliced 50.8 and 0.0; of the first gene alone 14.4 and 0.
# What it means: by this distance raw counts of any two batches are the same, and a simulation of counts is perfect.
# What helps: counts.astype(float) before.
source "$(dirname "$0")/environment.bash"
packages POT==0.9.7.post1 numpy==2.4.6 scipy==1.17.1
"$python" -W error - <<'END'
from importlib.metadata import version

import numpy, ot

rng = numpy.random.default_rng(0)
low, high = rng.poisson(5, (100, 20)), rng.poisson(20, (100, 20))


def distances(kind):
    """Sliced, max-sliced, and of the first gene by two functions."""
    x, y = low.astype(kind), high.astype(kind)
    first = x[:, 0], y[:, 0]
    sliced = ot.sliced_wasserstein_distance(x, y, seed=0), ot.max_sliced_wasserstein_distance(x, y, seed=0)
    return [round(float(d), 2) for d in (*sliced, ot.wasserstein_1d(*first), ot.emd2_1d(*first, metric="euclidean"))]


found = {kind: distances(kind) for kind in ("float32", "int64", "int32", "uint16")}
exact = [round(float(ot.solve_sample(low.astype(kind), high.astype(kind)).value)) for kind in ("float32", "int64")]
print(f"POT {version('POT')}: sliced, max-sliced, of one gene by wasserstein_1d and emd2_1d: {found}")
print(f"exact, float32 and int64: {exact}")
one = found["float32"][3]
assert found["int64"] == found["int32"] == found["uint16"] == [0, 0, 0, one]
assert found["float32"][0] > 10 and found["float32"][2] == one > 10 and exact[0] == exact[1] > 0
END
