"""From the `dataset` section of the configuration to cells."""

import importlib

from bie.config import Data
from bie.data.cells import Cells
from bie.errors import BadInput


def load(dataset: Data) -> Cells:
    """Read, download or simulate the chosen data set, checked.

    Parameters
    ----------
    dataset
        Section of the configuration; its `source` names the module in `bie.data.datasets` that does it.

    Raises
    ------
    BadInput
        If the data cannot be had or are not what the models need; says what to do.
    """
    module = importlib.import_module(f"bie.data.datasets.{dataset.source}")
    cells: Cells = module.load(dataset)
    chosen = getattr(dataset, "n_top_genes", None)
    if chosen is not None and chosen > cells.n_genes:
        raise BadInput(
            f"dataset.n_top_genes={chosen}: there are {cells.n_genes:,} genes. Leave it out, which keeps all"
        )
    return cells
