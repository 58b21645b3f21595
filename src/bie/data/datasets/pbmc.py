"""The PBMC set of the 2019 study: two 10x runs, processed as scVI 0.3.0 did (Lopez et al. 2018).

The runs pbmc8k (batch 0) and pbmc4k (batch 1) of Zheng et al. (2017) are put one below the other. Kept are
the cells that ``pbmc_metadata.pickle`` labels and the genes that ``gene_info.csv`` lists, in their order.

One defect of that loader is kept, because the study's numbers contain it. A barcode that both runs share is
listed twice in the metadata, for the 4k cell with the ending ``-11``. Rows are looked up by barcode in a
table where the later run overwrites the earlier one, and the entries ending ``-11``, which no run contains,
drop out. So a cell with a shared barcode has the counts and the batch of the 4k cell and the label of the 8k
cell: 47 of 11,990 cells, and batches of 7,983 and 4,007 cells instead of 8,030 and 3,960.
"""

import csv
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import scipy.sparse as sp

from bie.config.datasets import Source
from bie.config.sections import section
from bie.data import download, restricted_pickle, tenx
from bie.data.card import Card
from bie.data.cells import Cells, canonical
from bie.data.download import Remote
from bie.data.mtx import Run
from bie.schema import LOCAL

_TENX = "http://cf.10xgenomics.com/samples/cell-exp/2.1.0/{0}/{0}_filtered_gene_bc_matrices.tar.gz"
_SCVI = "https://github.com/YosefLab/scVI-data/raw/master/{}"

RUN_8K = Remote(
    "pbmc8k_filtered_gene_bc_matrices.tar.gz",
    (_TENX.format("pbmc8k"),),
    "md5:cbb3a7553ece7eaddeb8a56df781ccb0",
    37,
)
RUN_4K = Remote(
    "pbmc4k_filtered_gene_bc_matrices.tar.gz",
    (_TENX.format("pbmc4k"),),
    "md5:f61f4deca423ef0fa82d63fdfa0497f7",
    18,
)
GENES = Remote(
    "gene_info.csv",
    (_SCVI.format("gene_info.csv"),),
    "sha256:cc33ad3226e9750de0f1d9782b9021d6a82224f6dde43005e6d6558eb560f9d5",
    1,
)
METADATA = Remote(
    "pbmc_metadata.pickle",
    (_SCVI.format("pbmc_metadata.pickle"),),
    "sha256:a7b8b2a5cec508b8f3c080aa28bcc3c6be34ab249bacc4c6b8bc1cec3a966e07",
    4,
)

CARD = Card(
    name="pbmc",
    about="peripheral blood cells, two 10x runs (Zheng et al. 2017), as in Lopez et al. 2018",
    size="11,990 x 3,346",
    batches="2",
    types="9",
    files=(RUN_8K, RUN_4K, GENES, METADATA),
)


@section
class Pbmc(Source):
    """The PBMC set of the scVI study (10x 8k and 4k)."""

    source: Literal["pbmc"]
    cache: Annotated[Path | None, LOCAL]


def load(settings: Pbmc) -> Cells:
    """Download what is missing and put the set together.

    Raises
    ------
    BadInput
        If a file cannot be had or is damaged.
    """
    folder = download.cache_folder(settings.source, settings.cache)
    download.fetch(settings.source, CARD.files, folder)
    return assemble(folder)


def assemble(folder: Path) -> Cells:
    """Put the set together from the four files in `folder`, which may be smaller ones of the same formats."""
    runs = [tenx.read(folder / RUN_8K.name), tenx.read(folder / RUN_4K.name)]
    genes = _listed_genes(folder / GENES.name)
    metadata = restricted_pickle.read(folder / METADATA.name)
    barcodes = [str(barcode) for barcode in metadata["barcodes"].index]

    row = {code: i for i, code in enumerate(runs[0].barcodes + runs[1].barcodes)}  # the later run wins
    rows = [row[code] for code in barcodes if code in row]
    labelled = np.array([not code.endswith("11") for code in barcodes])
    x_ng = sp.vstack([_genes_of(run, genes) for run in runs], format="csr")[rows]
    return Cells(
        counts=canonical(x_ng),
        batch=np.repeat(np.arange(2), [len(run.barcodes) for run in runs])[rows],
        batches=("pbmc8k", "pbmc4k"),
        label=metadata["clusters"][labelled].astype(np.int64),
        labels=tuple(str(name) for name in metadata["list_clusters"]),
        cell_names=np.array([code for code in barcodes if code in row], dtype=np.str_),
        gene_names=np.array(genes, dtype=np.str_),
    )


def _listed_genes(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [line["ENSG"] for line in csv.DictReader(file)]


def _genes_of(run: Run, genes: list[str]) -> sp.csr_matrix:
    column = {gene: i for i, gene in enumerate(run.genes)}
    return run.counts[:, [column[gene] for gene in genes]]
