#!/usr/bin/env bash
# anndata 0.12.19: the batches and cell types of a file by SeuratDisk are read as 0, 1, ...; their names are lost.
#
# SeuratDisk's Convert() writes a factor as codes in obs/NAME and its levels in obs/__categories/NAME, without the
# reference from the one to the other that anndata's own files of that time had. The reader follows the reference
# alone: codes become an integer column. A warning says that obs/NAME has no encoding metadata, as it does of every
# column of such a file, and nothing of the levels. "early" is 0, "late" is 1, and a missing value -2147483648.
# Seen: [0, 1, -2147483648, 1] (int32) for early, late, missing, late.
# What helps: pandas.Categorical.from_codes(codes, h5py.File(path)["obs/__categories/NAME"].asstr()[:]), after
# turning negative codes into -1.
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 h5py==3.16.0 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
import os, tempfile, warnings
from importlib.metadata import version

import anndata, h5py, numpy

text, missing = h5py.string_dtype(), -2147483648
path = os.path.join(tempfile.mkdtemp(), "seurat.h5ad")
with h5py.File(path, "w") as file:
    matrix = file.create_group("X")
    matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": numpy.array([4, 1])})
    matrix.update({"data": numpy.ones(4), "indices": numpy.zeros(4, "int32"), "indptr": numpy.arange(5, dtype="int32")})
    for name, index in (("obs", ["c0", "c1", "c2", "c3"]), ("var", ["g0"])):
        table = file.create_group(name)
        table.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"})
        table.attrs.create("column-order", ["batch"] if name == "obs" else ["features"], dtype=text)
        table.create_dataset("_index", data=index, dtype=text)
    file["var"].create_dataset("features", data=["g0"], dtype=text)
    file["obs/batch"] = numpy.array([0, 1, missing, 1], "int32")
    file.create_dataset("obs/__categories/batch", data=["early", "late"], dtype=text)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    batch = anndata.read_h5ad(path).obs["batch"]
said = [str(each.message) for each in seen]
print(f"anndata {version('anndata')}: {batch.tolist()} ({batch.dtype}); warnings: {said}")
assert batch.tolist() == [0, 1, missing, 1] and batch.dtype == "int32"
assert not any("categories" in text or "early" in text for text in said)
END
