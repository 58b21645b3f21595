#!/usr/bin/env bash
# anndata 0.12.19 (and 0.13.4): concat_on_disk writes all sparse counts in the number type of its first file.
#
# experimental.concat_on_disk "should be equivalent" to concat, by its documentation. concat looks for a type that
# holds the values of all samples. concat_on_disk creates the matrix after the first file and casts what follows to its
# type: fractions are cut off where the first file holds integers, and counts end at 255 where it was stored small.
# Layers go the same way. Which values are lost depends on the order of the files. Nothing is said.
# Seen: counts 0.25, 0.9, 1.5 and 300 (corrected for ambient RNA, say) after a file of int32 become 0, 0, 1 and 300;
# counts 3, 255, 256 and 300 after a file of uint8 become 3, 255, 255 and 255. In the other order, and by concat, all
# are right.
# What it means: an atlas of which a share of the counts is gone. What helps: one type in all files before, or
# concat; the types are h5py.File(path)["X/data"].dtype.
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 h5py==3.16.0 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
import os, tempfile, warnings
from importlib.metadata import version

import anndata, numpy, pandas
from anndata.experimental import concat_on_disk
from scipy.sparse import csr_matrix

genes, folder = pandas.DataFrame(index=list("abcd")), tempfile.mkdtemp()


def sample(name, values, kind):
    """One cell with these counts, as a file too."""
    counts = csr_matrix(numpy.array([values], kind))
    data = anndata.AnnData(counts, obs=pandas.DataFrame(index=[name]), var=genes, layers={"counts": counts.copy()})
    data.write_h5ad(os.path.join(folder, f"{name}.h5ad"))
    return data


def joined(*samples):
    """The second sample's counts after concat_on_disk and concat, and the number of warnings."""
    target = os.path.join(folder, "joined.h5ad")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        concat_on_disk([os.path.join(folder, f"{each.obs_names[0]}.h5ad") for each in samples], target)
    disk, memory = anndata.read_h5ad(target), anndata.concat(samples)
    assert (disk.X != disk.layers["counts"]).nnz == 0
    os.remove(target)
    return [each["second"].X.toarray()[0].tolist() for each in (disk, memory)] + [len(said)]


for kind, values, other in (("int32", [0.25, 0.9, 1.5, 300.0], "float64"), ("uint8", [3, 255, 256, 300], "int32")):
    samples = sample("first", [1, 2, 3, 4], kind), sample("second", values, other)
    disk, memory, said = joined(*samples)
    back, _, _ = joined(*samples[::-1])
    print(f"anndata {version('anndata')}: {other} {values} after {kind}: on disk {disk}, {said} warnings")
    print(f"  by concat {memory}, in the other order on disk {back}")
    assert memory == back == values and not said
    assert disk == ([0, 0, 1, 300] if kind == "int32" else [3, 255, 255, 255])
END
