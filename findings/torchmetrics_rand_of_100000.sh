#!/usr/bin/env bash
# torchmetrics 1.9.0: the adjusted Rand index of 100,000 cells is 4.08.
#
# adjusted_rand_score counts pairs of cells, some 10^10 of 100,000 cells, and multiplies such numbers. They are 64-bit
# integers, the products do not fit, and wrap around. The index is then any number, also one between 0 and 1. By
# definition it is at most 1, which is also the upper bound of its own plot. Nothing is said. The class
# AdjustedRandScore gives the same. Normalised mutual information and the Fowlkes-Mallows index are right.
# Seen: 8 clusters that agree with 8 types in 80 % of the cells, where scikit-learn gives 0.64 throughout:
# 70,000 cells 0.64, 100,000 4.08, 200,000 -5.66, 1,000,000 1.23.
# What it means: an atlas scores what its size makes it score, and of two integrations either may come out on top.
# What helps: sklearn.metrics.adjusted_rand_score, which multiplies numbers of any size.
source "$(dirname "$0")/environment.bash"
packages torchmetrics==1.9.0 torch==2.13.0 scikit-learn==1.9.1 numpy==2.4.6
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy, sklearn.metrics, torch
from torchmetrics.clustering import AdjustedRandScore
from torchmetrics.functional.clustering import adjusted_rand_score, normalized_mutual_info_score

rng = numpy.random.default_rng(0)
found, right, others = {}, {}, []
for cells in (70_000, 100_000, 200_000, 1_000_000):
    types = rng.integers(0, 8, cells)
    clusters = numpy.where(rng.random(cells) < 0.8, types, rng.integers(0, 8, cells))
    pair = torch.tensor(clusters), torch.tensor(types)
    found[cells] = round(float(adjusted_rand_score(*pair)), 2)
    right[cells] = round(float(sklearn.metrics.adjusted_rand_score(types, clusters)), 2)
    assert float(AdjustedRandScore()(*pair)) == float(adjusted_rand_score(*pair))
    expected = sklearn.metrics.normalized_mutual_info_score(types, clusters)
    others.append(abs(float(normalized_mutual_info_score(*pair)) - expected))
print(f"torchmetrics {version('torchmetrics')}, adjusted Rand index by number of cells: {found}")
print(f"scikit-learn: {right}; normalised mutual information differs by at most {max(others):.0e}")
assert found[70_000] == right[70_000] and max(others) < 1e-4
assert set(right.values()) == {0.64}
assert found[100_000] > 1 and found[200_000] < -1 and found[1_000_000] > 1
END
