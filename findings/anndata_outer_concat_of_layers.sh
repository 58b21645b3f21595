#!/usr/bin/env bash
# anndata 0.12.19: joining two samples, of which one has layers["counts"], gives the other one's cells counts of 0.
#
# concat(join="outer") speaks of the axis that is not joined, the genes; layers follow it too. A layer that one
# of the samples lacks is filled for that sample's cells: with 0 where it is sparse, with nan where it is dense.
# The zeros are counts to every reader; the genes are the same in both, so nothing had to be filled. With
# join="inner", which for such samples gives the same X, the layer is gone instead.
# Seen: [0, 0, 0] (sparse), [nan, nan, nan] (dense), no layer (inner).
# What helps: adata.layers["counts"] = adata.X.copy() in every sample before.
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" -W ignore - <<'END'
import anndata, numpy, pandas
from scipy.sparse import csr_matrix


def sample(name, form, counts):
    obs, var = pandas.DataFrame(index=[f"{name}{i}" for i in range(2)]), pandas.DataFrame(index=["a", "b", "c"])
    data = anndata.AnnData(form(numpy.ones((2, 3), "float32")), obs=obs, var=var)
    if counts:
        data.layers["counts"] = data.X.copy()
    return data


def second(form, join):
    joined = anndata.concat([sample("p", form, True), sample("q", form, False)], join=join)
    if "counts" not in joined.layers:
        return None
    layer = joined.layers["counts"]
    return (layer if form is numpy.asarray else layer.toarray())[2].tolist()


sparse, dense, inner = second(csr_matrix, "outer"), second(numpy.asarray, "outer"), second(csr_matrix, "inner")
print(f"anndata {anndata.__version__}: outer, sparse {sparse}; outer, dense {dense}; inner {inner}")
assert sparse == [0, 0, 0] and numpy.isnan(dense).all() and inner is None
END
