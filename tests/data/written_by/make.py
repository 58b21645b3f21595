"""Files of the same 12 cells by different versions of anndata, as `test_written_by.py` reads them.

    python make.py FOLDER

Run in environments of their own, the versions and interpreters that made the committed files:
anndata 0.7.8 (Python 3.8), 0.10.9 (3.10) and 0.13.4 (3.12; also the zarr store, sharded, packed as .zip).
"""

import shutil
import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

N, G = 12, 6


def cells() -> anndata.AnnData:
    """Counts in raw.X and layers["counts"], a normalised X, and columns of the kinds that tables have."""
    x_ng = (np.arange(N * G).reshape(N, G) % 5).astype(np.float32)
    obs = pd.DataFrame(
        {
            "batch": pd.Categorical(np.array(["late", "early"])[np.arange(N) % 2], ["late", "early"]),
            "donor": [f"d{n // 4}" for n in range(N)],
            "well": np.arange(N) // 3,
            "site": pd.array(["N", "S"] * (N // 2), dtype="string"),
            "plate": pd.array([1, 2, 3] * (N // 3), dtype="Int64"),
        },
        index=[f"c{n}" for n in range(N)],
    )
    if nullable():
        obs["partly"] = pd.array(["x", None, "y"] * (N // 3), dtype="string")
    else:
        obs["site"], obs["plate"] = obs["site"].astype(object), obs["plate"].astype("int64")
    raw = anndata.AnnData(sp.csr_matrix(x_ng), obs=obs, var=pd.DataFrame(index=[f"g{g}" for g in range(G)]))
    data = anndata.AnnData(sp.csr_matrix(np.log1p(x_ng)), obs=obs, var=raw.var)
    data.layers["counts"] = sp.csc_matrix(x_ng)
    data.raw = raw
    return data


def nullable() -> bool:
    """Whether this version writes nullable text."""
    return tuple(int(part) for part in anndata.__version__.split(".")[:2]) >= (0, 12)


def main(folder: Path) -> None:
    """Write what this version can."""
    warnings.simplefilter("ignore")
    name = "anndata_" + anndata.__version__
    if nullable():
        anndata.settings.allow_write_nullable_strings = True
    cells().write_h5ad(folder / (name + ".h5ad"))
    if nullable():
        anndata.settings.zarr_write_format = 3
        anndata.settings.auto_shard_zarr_v3 = True
        store = folder / (name + ".zarr")
        cells().write_zarr(store)
        shutil.make_archive(str(store), "zip", store)
        shutil.rmtree(store)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
