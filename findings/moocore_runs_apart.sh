#!/usr/bin/env bash
# moocore 0.3.2: where the points of a run lie apart in the table, attainment surfaces are those of other runs.
#
# eaf, and vorob_t and vorob_dev through it, take `sets`, "the set of each row of points", but only count the rows of
# each set and cut the points into pieces of these sizes as they lie; apply_within_sets, which takes the same, goes by
# the sets. A table with a row for each setting and run, or one that was sorted by an objective, has a run's points
# apart. Nothing is said, nor documented.
# Seen, minimising: run 0 found (1, 4) and (4, 1), run 1 (2, 5) and (5, 2), so that both attain the front of run 1. With
# the rows in turn, each with its set, both are said to attain (4, 4), which run 1 does not.
# What it means: a median front that lies elsewhere, better or worse, by the order of rows. What helps: points and sets
# in the order of numpy.argsort(sets, kind="stable").
source "$(dirname "$0")/environment.bash"
packages moocore==0.3.2 numpy==2.4.6
"$python" -W error - <<'END'
from importlib.metadata import version

import moocore, numpy

points = numpy.array([[1.0, 4.0], [4.0, 1.0], [2.0, 5.0], [5.0, 2.0]])
sets = numpy.array([0, 0, 1, 1])


def attained_by_both(order):
    return moocore.eaf(points[order], sets[order], percentiles=[100])[:, :2].tolist()


def hypervolumes(order):
    return moocore.apply_within_sets(points[order], sets[order], moocore.hypervolume, ref=[6, 6]).ravel().tolist()


together, apart = attained_by_both([0, 1, 2, 3]), attained_by_both([0, 2, 1, 3])
print(f"moocore {version('moocore')}: both attain {together}; with the same rows in another order {apart}")
assert together == [[2, 5], [5, 2]]
assert apart == [[4, 4]] and not (points[sets == 1] <= 4).all(axis=1).any()
assert hypervolumes([0, 1, 2, 3]) == hypervolumes([0, 2, 1, 3])
END
