"""The retina set of the 2019 study: mouse bipolar cells (Shekhar et al. 2016) as in Lopez et al. (2018).

All genes are kept, cells without counts are dropped, and the prior of the library size is that of both
batches pooled: the loader of scVI 0.3.0 computed it once over the whole file, and nothing did so again.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from bie.config.datasets import Source
from bie.config.sections import section
from bie.data import anndata_file, download, grouping
from bie.data.card import Card
from bie.data.cells import Cells
from bie.data.download import Remote
from bie.schema import LOCAL

FILE = Remote(
    "retina.h5ad",
    (
        "https://exampledata.scverse.org/scvi-tools/retina.h5ad",
        "https://figshare.com/ndownloader/files/51086201",
    ),
    "sha256:5363642ff02647d6868494b962ec962a5d2e3d90703415e245e7c1727c66cf21",
    None,
)

CARD = Card(
    name="retina",
    about="mouse retinal bipolar cells, Drop-seq (Shekhar et al. 2016), as in Lopez et al. 2018",
    size="19,829 x 13,166",
    batches="2",
    types="15",
    files=(FILE,),
)


@section
class Retina(Source):
    """The mouse retina set of the scVI study."""

    source: Literal["retina"]
    cache: Annotated[Path | None, LOCAL]


def load(settings: Retina) -> Cells:
    """Download the file if it is missing and read it.

    Raises
    ------
    BadInput
        If the file cannot be had or is damaged.
    """
    folder = download.cache_folder(settings.source, settings.cache)
    download.fetch(settings.source, CARD.files, folder)
    return assemble(folder / FILE.name)


def assemble(path: Path) -> Cells:
    """Read the file, or a smaller one of the same format: counts in X, obs columns ``batch``, ``labels``."""
    with anndata_file.opened(path) as file:
        x_ng = file.counts(layer=None)
        kept = np.flatnonzero(x_ng.getnnz(axis=1))
        batch, batches = grouping.codes(file.obs["batch"].iloc[kept])
        label, labels = grouping.codes(file.obs["labels"].iloc[kept])
        return Cells(
            counts=x_ng[kept],
            batch=batch,
            batches=batches,
            label=label,
            labels=labels,
            cell_names=file.cell_names[kept],
            gene_names=file.gene_names,
            library_prior="pooled",
        )
