#!/usr/bin/env bash
# pynndescent 0.7.0 with numba 0.68.1: the first search of every process compiles for most of a minute, caches or not.
#
# scanpy's neighbours of 8,192 cells or more, umap-learn and approximate neighbour metrics search with it. Numba's
# cache on disk serves what only takes arrays; the descent itself takes the distance as a function, is compiled anew
# in each process, and so costs each job of a cluster and each worker of a pool what a search of 3,000 cells costs a
# hundred times over.
# Seen in the second process, with everything cached that can be: 66 compilations and 51 s of CPU time for the first
# search, none and 0.1 s for the next.
# What helps: fork workers from a process that has searched once, or, of up to some 100,000 cells, an exact search
# (scikit-learn), which compiles nothing.
source "$(dirname "$0")/environment.bash"
packages pynndescent==0.7.0 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
search=$(cat <<'END'
import time

import numba.core.event as event
import numpy
import pynndescent

z = numpy.random.default_rng(0).normal(size=(3000, 5)).astype("float32")


def seconds():
    start = time.process_time()
    with event.install_recorder("numba:compile") as compiled:
        pynndescent.NNDescent(z, n_neighbors=15, random_state=0, n_jobs=1)
    return time.process_time() - start, sum(each.is_start for _, each in compiled.buffer)


for name in ("first", "next"):
    spent, n = seconds()
    print(f"pynndescent {pynndescent.__version__}, {name} search of 3,000 cells: {spent:.1f} s, {n} compilations")
    if name == "first":
        first, compilations = spent, n
assert compilations > 20 and n == 0 and first > 10 * spent
END
)
echo "a process that finds no cache"
"$python" -c "$search"
echo "a process after it"
"$python" -c "$search"
