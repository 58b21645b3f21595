from collections.abc import Callable
from pathlib import Path

import anndata

from bie.config import H5ad, Zinb
from bie.data.load import load


def test_source_chooses_the_module(
    zinb_settings: Callable[..., Zinb],
    h5ad_settings: Callable[..., H5ad],
    adata: anndata.AnnData,
    tmp_path: Path,
) -> None:
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert load(zinb_settings(size="smoke")).counts.shape == (400, 100)
    assert load(h5ad_settings()).counts.shape == (60, 30)
