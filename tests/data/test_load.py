from collections.abc import Callable
from pathlib import Path

import anndata
import pytest

from bie.data.datasets.h5ad import H5ad
from bie.data.datasets.zinb import Zinb
from bie.data.load import load
from bie.errors import BadInput


def test_source_chooses_the_module(
    zinb_settings: Callable[..., Zinb],
    h5ad_settings: Callable[..., H5ad],
    adata: anndata.AnnData,
    tmp_path: Path,
) -> None:
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert load(zinb_settings(size="smoke")).counts.shape == (400, 100)
    assert load(h5ad_settings()).counts.shape == (60, 30)


def test_more_genes_than_there_are_cannot_be_chosen(zinb_settings: Callable[..., Zinb]) -> None:
    assert load(zinb_settings(size="smoke", n_top_genes=100)).n_genes == 100
    with pytest.raises(BadInput, match=r"dataset\.n_top_genes=101: there are 100 genes\. Leave it out"):
        load(zinb_settings(size="smoke", n_top_genes=101))
