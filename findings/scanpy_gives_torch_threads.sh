#!/usr/bin/env bash
# scanpy 1.11.5 with numba 0.68.1: quality metrics of counts undo torch.set_num_threads(1) (torch 2.13.0).
#
# Where the system has GNU's OpenMP (with any gcc), numba's parallel loops use it. The first of them in a process
# starts numba's threads by omp_set_num_threads, and that is the number which torch goes by: it becomes that of the
# processors, whatever was set before, by OMP_NUM_THREADS as well. Nothing is said.
# Seen (2 processors): torch has 1 thread before calculate_qc_metrics and 2 after it, also under OMP_NUM_THREADS=1;
# under NUMBA_NUM_THREADS=1 it has 1 and 1.
# What it means: a training that follows a step of scanpy runs on all cores, its sums are of another order, and many
# of them side by side wait for each other. What helps: NUMBA_NUM_THREADS=1, or torch.set_num_threads after scanpy.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 torch==2.13.0
threads=$(cat <<'END'
import os
import sys

import anndata
import numba
import numpy
import scanpy
import scipy.sparse
import torch

if os.cpu_count() == 1:
    sys.exit("needs two processors")
torch.set_num_threads(1)
before = torch.get_num_threads()
counts = numpy.random.default_rng(0).poisson(1.0, (300, 200)).astype("float32")
cells = anndata.AnnData(scipy.sparse.csr_matrix(counts))
scanpy.pp.calculate_qc_metrics(cells, percent_top=[50], inplace=True)
after = torch.get_num_threads()
print(f"scanpy {scanpy.__version__}, numba's threads by {numba.threading_layer()}: torch had {before}, has {after}")
assert (before, after) == (1, int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count())))
END
)
OMP_NUM_THREADS=1 "$python" -W ignore -c "$threads"
NUMBA_NUM_THREADS=1 "$python" -W ignore -c "$threads"
