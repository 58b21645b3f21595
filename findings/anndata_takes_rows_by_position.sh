#!/usr/bin/env bash
# anndata 0.12.19 (and 0.13.4): a mask of cells or a table for X is taken by position, whatever cell names it carries.
#
# adata[mask] with a boolean pandas Series, and adata.X or adata.layers[...] set to a DataFrame, use the values in
# their own order and drop the names; a DataFrame's own df[mask] and adata.obs[...] = series go by the names. A mask
# from a table that was sorted, joined or written by another tool so selects other cells, as many as it should.
# That cells' names differ is an error for obsm, and for AnnData(X=table, obs=...) too, but not here.
# Seen: of cells a to f the mask says e and f; in the reverse order, names and all, it selects a and b, where the
# DataFrame adata.obs selects e and f. A table in the reverse order becomes X and a layer with its rows exchanged,
# whereas obsm raises ValueError. There is no warning.
# What it means: results of the wrong cells. What helps: mask.reindex(adata.obs_names), table.loc[adata.obs_names].
source "$(dirname "$0")/environment.bash"
packages anndata==0.12.19 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$python" - <<'END'
import warnings
from importlib.metadata import version

import anndata, numpy, pandas

names = list("abcdef")
obs = pandas.DataFrame({"score": numpy.arange(6)}, index=names)
data = anndata.AnnData(numpy.zeros((6, 1), "float32"), obs=obs, var=pandas.DataFrame(index=["g"]))
mask = (data.obs["score"] > 3)[::-1]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    selected = data[mask].obs_names.tolist()
    table = pandas.DataFrame({"g": numpy.arange(6.0)}, index=names)[::-1]
    data.X = table
    data.layers["l"] = table
    x, layer = data.X[:, 0].tolist(), numpy.asarray(data.layers["l"])[:, 0].tolist()
of_table = data.obs.loc[mask].index.tolist()
data.obs["value"] = table["g"]
try:
    data.obsm["o"] = table
    obsm = "taken"
except ValueError as error:
    obsm = type(error).__name__
try:
    anndata.AnnData(table, obs=obs)
    made = "made"
except ValueError as error:
    made = type(error).__name__
print(f"anndata {version('anndata')}: AnnData selects {selected}, its obs {of_table}; {len(said)} warnings")
print(f"X {x}, layer {layer}, obs {data.obs['value'].tolist()}; obsm {obsm}, AnnData(table, obs=obs) {made}")
assert selected == ["a", "b"] and of_table == ["e", "f"] and not said
assert x == layer == [5, 4, 3, 2, 1, 0] and obsm == made == "ValueError"
assert data.obs["value"].tolist() == [0, 1, 2, 3, 4, 5]
END
