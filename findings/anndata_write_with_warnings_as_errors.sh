#!/usr/bin/env bash
# anndata 0.13.4 (Python 3.12 or later): where warnings are errors, a write ends half way and its file opens as empty.
#
# Writing strings, anndata asks pandas for an option that pandas 3.1 calls deprecated. A test suite that turns
# warnings into errors (pytest: filterwarnings = error) so cannot write any AnnData. What one would not guess: the
# file stays where it is, with obs begun and X not, and read_h5ad and read_zarr take it for an AnnData of 0 cells
# without an error. A pipeline that looks whether its file is there goes on with no cells.
# Seen: Pandas4Warning of the option future.infer_string; then read_h5ad gives (0, 0), read_zarr (0, 0).
# What helps: warnings.filterwarnings("ignore", "The 'future.infer_string' option"); write under another name, rename.
source "$(dirname "$0")/environment.bash"
packages anndata==0.13.4 pandas==3.1.1 numpy==2.5.5 h5py==3.16.0 zarr==3.4.2
"$python" -W ignore - <<'END'
import os, tempfile, warnings
from importlib.metadata import version

import anndata, numpy, pandas

obs = pandas.DataFrame({"batch": ["early", "late", "early"]}, index=["c0", "c1", "c2"])
data = anndata.AnnData(numpy.ones((3, 2), "float32"), obs=obs)
folder, found = tempfile.mkdtemp(), {}
for form in ("h5ad", "zarr"):
    path = os.path.join(folder, f"cells.{form}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            getattr(data, f"write_{form}")(path)
            said = "written"
        except Warning as warning:
            said = f"{type(warning).__name__}: {str(warning)[:44]}"
    found[form] = said, getattr(anndata, f"read_{form}")(path).shape
print(f"anndata {version('anndata')}, pandas {version('pandas')}: {found}")
assert all("future.infer_string" in said and shape == (0, 0) for said, shape in found.values())
END
