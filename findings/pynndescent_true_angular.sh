#!/usr/bin/env bash
# pynndescent 0.7.0: by metric="true_angular" nearer neighbours are at larger distances, up to 1.
#
# Its documentation says 0 for vectors of one direction, towards 1 for opposite ones, and gives a formula that says the
# reverse, 1 less the angle over pi. That is what comes back: 1 for one direction, 0.75 at 45 degrees, towards 0.5 at a
# right angle, and from there on the largest float32. The neighbours are the right ones in the right order, since they
# are searched with another formula; only the distances beside them fall. In neighbor_graph a cell is at distance 0 from
# itself, since that is written over; a query for the same cell gives 1. Nothing is said. (It was asked whether this is
# a distance: lmcinnes/pynndescent, issue 232.)
# Seen: [1, 0] and itself 1.0, and [1, 1] 0.75, and [0, 1] or [-1, 0] 3.4e38. Of 200 cells all distances fall from the
# second neighbour to the fifth, those of the first cell from 0.94 to 0.90.
# What it means: what weighs neighbours by their distance, or cuts them off at one, does so upside down.
# What helps: 1 - distance for other cells less than 90 degrees away; or metric="cosine", which grows with the angle.
source "$(dirname "$0")/environment.bash"
packages pynndescent==0.7.0 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$python" -W ignore - <<'END'
from importlib.metadata import version

import numpy
from pynndescent import NNDescent
from pynndescent.distances import true_angular

one = numpy.float32([1, 0])
others = {"itself": [1, 0], "45 degrees": [1, 1], "90 degrees": [0, 1], "opposite": [-1, 0]}
pairs = {name: float(true_angular(one, numpy.float32(other))) for name, other in others.items()}
cells = numpy.random.default_rng(0).gamma(1, 1, (200, 5)).astype("float32")
index = NNDescent(cells, metric="true_angular", n_neighbors=5, random_state=0)
neighbours, distances = index.neighbor_graph
queried = index.query(cells, k=1)[1]
units = cells / numpy.linalg.norm(cells, axis=1, keepdims=True)
angles = numpy.arccos(numpy.clip(units @ units.T, -1, 1)) / numpy.pi
right = (neighbours == numpy.argsort(angles, axis=1)[:, :5]).mean()
error = abs(1 - distances - numpy.take_along_axis(angles, neighbours, axis=1))[:, 1:].max()
cosine = NNDescent(cells, metric="cosine", n_neighbors=5, random_state=0).neighbor_graph[1]
print(f"pynndescent {version('pynndescent')}, true_angular: {pairs}")
print(f"one cell's neighbours: distances {distances[0].round(3)}, angles / pi {numpy.sort(angles[0])[:5].round(3)}")
print(f"queried, itself at {queried[0, 0]:.3f}; by cosine {cosine[0].round(3)}")
print(f"the right neighbour in {right:.0%}; of other cells, distance + angle / pi is 1 to {error:.0e}")
assert pairs["itself"] == 1 and round(pairs["45 degrees"], 3) == 0.75
assert pairs["90 degrees"] > 3e38 and pairs["opposite"] > 3e38
assert (distances[:, 0] == 0).all() and (queried > 0.999).all()
assert (distances[:, 1:] > 0.5).all() and (numpy.diff(distances[:, 1:], axis=1) <= 1e-6).all()
assert (numpy.diff(cosine, axis=1) >= -1e-6).all() and right > 0.95 and error < 1e-3
END
