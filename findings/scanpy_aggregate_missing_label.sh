#!/usr/bin/env bash
# scanpy 1.11.5 (mended in 1.12.4): aggregate by two columns adds cells without a label to another patient's cells.
#
# get.aggregate(adata, by=["patient", "type"], func) numbers the combinations: the patient's code times the number of
# types, plus the type's code. A missing type has the code -1, which makes it the last type of the patient before.
# Where the first patient has such cells too, the number is -1 and there is an error; otherwise nothing is said. By one
# column, a missing label is always an error. A mask, which should leave cells out, leaves them out of the sums, but
# means are divided by the number of all cells; variances follow them, and medians are of all cells. 1.12.4 does
# neither; 1.11.5 is the last version for Python 3.11.
# Seen: patients p1 and p2, types T and U, 10 cells of one count in each: sums of 10 throughout. With 40 more cells of
# p2 that have no type (p1, U) has 50. With a mask of every second cell: sums of 5, means of 0.5 where counts are 1.
# What it means: pseudobulk profiles, and tests on them, of cells that belong to somebody else.
# What helps: adata[adata.obs[by].notna().all(axis=1)], adata[mask]; or obs[by].value_counts(dropna=False) beside it.
source "$(dirname "$0")/environment.bash"
packages scanpy==1.11.5 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W error::RuntimeWarning - <<'END'
from importlib.metadata import version

import anndata, numpy, pandas, scanpy
from scipy.sparse import csr_matrix

labelled = [(patient, kind) for patient in ("p1", "p2") for kind in "TU" for _ in range(10)]
obs = pandas.DataFrame(labelled + [("p2", None)] * 40, columns=["patient", "type"], dtype="category")
obs.index = obs.index.astype(str)
data = anndata.AnnData(csr_matrix(numpy.ones((80, 1), "float32")), obs=obs)
by = ["patient", "type"]


def aggregated(which, func, **options):
    result = scanpy.get.aggregate(which, by, func, **options)
    return {name: float(value) for name, value in zip(result.obs_names, result.layers[func][:, 0], strict=True)}


whole = data[data.obs["type"].notna()].copy()
sums, right = aggregated(data, "sum"), aggregated(whole, "sum")
mask = numpy.arange(40) % 2 == 0
masked_sums, means = aggregated(whole, "sum", mask=mask), aggregated(whole, "mean", mask=mask)
print(f"scanpy {version('scanpy')}: sums {sums}; without the unlabelled cells {right}")
print(f"counts of 1, with a mask of half of the cells: sums {masked_sums}, means {means}")
assert sums == right | {"p1_U": 50} and set(right.values()) == {10}
assert set(masked_sums.values()) == {5} and set(means.values()) == {0.5}
try:
    scanpy.get.aggregate(data, "type", "sum")
except ValueError as error:
    print(f"by type alone: ValueError {error}")
else:
    raise SystemExit("by one column, the missing label was no error")
END
