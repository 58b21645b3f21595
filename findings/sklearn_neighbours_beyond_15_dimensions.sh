#!/usr/bin/env bash
# scikit-learn 1.9.1: a point's distance to itself is 0 in 15 dimensions and not in 16, where digits are lost.
#
# NearestNeighbors(algorithm="auto") uses a tree up to 15 dimensions, which subtracts, and beyond them brute force,
# which expands |a|^2 - 2ab + |b|^2. On latent vectors off the origin the small distances that neighbourhood
# scores (LISI, kBET, Ross's mutual information) live on keep half of their digits or fewer, in float64 too.
# Seen for values around 1000: largest error 9e-16 in 15 dimensions, 1e-4 in 16, where self-distances are as large.
# What helps: subtract the mean first, or algorithm="ball_tree".
source "$(dirname "$0")/environment.bash"
packages scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
import numpy, sklearn
from sklearn.neighbors import NearestNeighbors

rng = numpy.random.default_rng(0)


def worst(n_dimensions, **how):
    z = rng.standard_normal((300, n_dimensions)) + 1000
    found, _ = NearestNeighbors(n_neighbors=5, **how).fit(z).kneighbors(z)
    true = numpy.sort(numpy.sqrt(((z[:, None] - z[None]) ** 2).sum(-1)), axis=1)[:, :5]
    return found[:, 0].max(), abs(found - true).max()


few, many, tree = worst(15), worst(16), worst(16, algorithm="ball_tree")
for name, (own, error) in {"15 dimensions": few, "16 dimensions": many, "16, ball_tree": tree}.items():
    print(f"scikit-learn {sklearn.__version__}, {name}: distance to itself {own:.1e}, largest error {error:.1e}")
assert few[0] == 0 and few[1] < 1e-12
assert many[0] > 1e-6 and many[1] > 1e-6
assert tree[0] == 0 and tree[1] < 1e-12
END
