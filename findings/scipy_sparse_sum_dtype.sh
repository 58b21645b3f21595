#!/usr/bin/env bash
# scipy 1.17.1: sum(axis=0, dtype=float64) of a sparse float32 matrix adds up in float32 and converts afterwards.
#
# For dense arrays `dtype` is the type of the accumulator. For sparse matrices it is that of the result alone: the
# sum is a product with a vector of ones in the matrix's own type, which stops growing at 2**24 = 16,777,216. A
# gene with a count of 1 in each of 17 million cells has a total of 16,777,216, and no warning; so has the mean.
# Seen: asked for float64, got 16777216.0 of type float64; the sum over everything is right, 17000000.0.
# What helps: matrix.astype(float64).sum(axis=0), or numpy.bincount(indices, weights=data).
source "$(dirname "$0")/environment.bash"
packages scipy==1.17.1 numpy==2.4.6
"$python" - <<'END'
import numpy, scipy
from scipy.sparse import csr_array

n = 17_000_000
counts = csr_array((numpy.ones(n, numpy.float32), numpy.zeros(n, numpy.int32), numpy.arange(n + 1)), shape=(n, 1))
asked = counts.sum(axis=0, dtype=numpy.float64)
everything = counts.sum(dtype=numpy.float64)
dense = numpy.ones((n, 1), numpy.float32).sum(axis=0, dtype=numpy.float64)
print(f"scipy {scipy.__version__}: sparse, axis=0: {asked[0]} ({asked.dtype}); no axis: {everything}; dense: {dense[0]}")
assert asked.dtype == numpy.float64 and asked[0] == 2**24
assert everything == dense[0] == n
END
