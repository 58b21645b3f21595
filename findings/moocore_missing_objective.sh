#!/usr/bin/env bash
# moocore 0.3.2: a point of which one objective is nan can dominate all others, and rules the Pareto front alone.
#
# A comparison with nan is false, so that an objective which is nan is no worse than any other: a run of which one
# score is missing beats every point that it beats in the other objective, and where it is worse there it is
# dominated itself. is_nondominated, filter_dominated and pareto_rank agree in this. hypervolume leaves the point
# out; igd and igd_plus, distances to a reference front, become 0, the best value. Nothing is said, nor documented.
# Seen: (1, 2) and (2, 1) are both on the front, minimising. With (0.5, nan) beside them they are dominated, with
# ranks 1, 1, 0; with (3, nan) it is the new one that is. Hypervolume up to (3, 3): 3 with it and without; igd_plus to
# (1, 1): 1 without it and 0 with it.
# What it means: one failed evaluation is a tuning study's front. What helps: points[~numpy.isnan(points).any(1)].
source "$(dirname "$0")/environment.bash"
packages moocore==0.3.2 numpy==2.4.6
"$python" -W error - <<'END'
from importlib.metadata import version

import moocore, numpy

points = numpy.array([[1.0, 2.0], [2.0, 1.0]])


def front(*more):
    every = numpy.vstack([points, *more])
    assert moocore.filter_dominated(every).shape[0] == moocore.is_nondominated(every).sum()
    return moocore.is_nondominated(every).tolist(), moocore.pareto_rank(every).tolist()


def quality(*more):
    every = numpy.vstack([points, *more])
    return float(moocore.hypervolume(every, ref=[3, 3])), float(moocore.igd_plus(every, ref=numpy.ones((1, 2))))


alone, low, high = front(), front([0.5, numpy.nan]), front([3, numpy.nan])
without, beside = quality(), quality([0.5, numpy.nan])
print(f"moocore {version('moocore')}: on the front, ranks: {alone}; with (0.5, nan) {low}; with (3, nan) {high}")
print(f"hypervolume and igd_plus without (0.5, nan): {without}, with it: {beside}")
assert alone == ([True, True], [0, 0])
assert low[0] == [False, False, True] and low[1][2] == 0 and min(low[1][:2]) > 0
assert high == ([True, True, False], [0, 0, 1])
assert without == (3, 1) and beside == (3, 0)
END
