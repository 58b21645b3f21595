#!/usr/bin/env bash
# anndata 0.12.19 (and 0.13.4), zarr 3.1.6: a flag that some cells lack is text after write_zarr: "False" is true and
# nothing is missing.
#
# Calls of one sample that are put on all cells (obs["doublet"] = calls) are a column of True, False and nan, of
# type object. write_h5ad refuses it with a TypeError; write_zarr writes each value's text, without a word. Read
# again, nothing is missing ("nan" is a value like others), every cell is a doublet by astype(bool), and none is one by
# == True. A column of strings with gaps keeps them, since it becomes a categorical.
# Seen: [True, False, False, nan, nan] comes back as ["True", "False", "False", "nan", "nan"]; missing 2, then 0;
# true 1, then 5.
# What it means: a filter on the flag keeps or drops all cells after a round trip. What helps: before writing,
# obs["doublet"] = obs["doublet"].astype("boolean"), which keeps pandas.NA.
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 zarr==3.1.6 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
import os, tempfile
from importlib.metadata import version

import anndata, numpy, pandas

data = anndata.AnnData(numpy.ones((5, 2), "float32"), obs=pandas.DataFrame(index=["a0", "a1", "a2", "b0", "b1"]))
data.obs["doublet"] = pandas.Series({"a0": True, "a1": False, "a2": False})
data.obs["nullable"] = data.obs["doublet"].astype("boolean")
before, missing = data.obs["doublet"].tolist(), int(data.obs["doublet"].isna().sum())
with tempfile.TemporaryDirectory() as folder:
    data.write_zarr(os.path.join(folder, "cells.zarr"))
    try:
        data.write_h5ad(os.path.join(folder, "cells.h5ad"))
        h5ad = "written"
    except TypeError as error:
        h5ad = f"TypeError: {str(error).splitlines()[0]}"
    read = anndata.read_zarr(os.path.join(folder, "cells.zarr")).obs
flag = read["doublet"]
print(f"anndata {version('anndata')}, zarr {version('zarr')}: {before} is {flag.tolist()}; h5ad {h5ad}")
print(f"missing {missing}, then {flag.isna().sum()}; true {flag.astype(bool).sum()}, == True {(flag == True).sum()}")
print(f"as a nullable boolean: {read['nullable'].tolist()}")
assert missing == 2 and flag.isna().sum() == 0 and flag.tolist() == ["True", "False", "False", "nan", "nan"]
assert flag.astype(bool).sum() == 5 and (flag == True).sum() == 0 and h5ad.startswith("TypeError")
assert read["nullable"].dtype == "boolean" and read["nullable"].isna().sum() == 2
END
