"""The datasets of a launch: each read once, and checked against what the configurations want of it."""

from bie.config import Control, Dataset, RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.embedders import check
from bie.errors import BadInput


class Datasets:
    """Reads each distinct dataset section once."""

    def __init__(self) -> None:
        self._cells: dict[Dataset, Cells] = {}
        self._constant: dict[Dataset, str | None] = {}

    def __getitem__(self, section: Dataset) -> Cells:
        if section not in self._cells:
            self._cells[section] = load(section)
        return self._cells[section]

    def content(self, config: RunConfig) -> str:
        """SHA-256 of the cells of a configuration, checked against what it wants to do with them.

        Raises
        ------
        BadInput
            Too few cells to split, a library size that cannot be modelled, a dispersion for each cell type
            of cells without types, or a control that these cells or this environment lack something for.
        """
        cells, fraction = self[config.dataset], config.split.train_fraction
        n_train = int(fraction * cells.n_cells)
        if min(n_train, cells.n_cells - n_train) < 2:
            raise BadInput(
                f"split.train_fraction={fraction}: of {cells.n_cells} cells that leaves {n_train} for "
                f"training and {cells.n_cells - n_train} for testing; at least 2 each are needed"
            )
        if isinstance(config.model, Control):
            check(config.model, cells, n_train)
            return cells.sha256
        batch = self._constant_batch(config.dataset)
        if config.model.library == "modelled" and batch is not None:
            raise BadInput(
                f"model.library=modelled: the cells of batch {batch} all have the same total count, so there "
                "is no distribution to model. Use model.library=observed"
            )
        acts = "dispersion" not in config.model.inactive()
        if config.model.dispersion == "gene-label" and acts and cells.label is None:
            raise BadInput(
                "model.dispersion=gene-label: the cells have no labels. Name their column, "
                "dataset.label_key=..., or use another model.dispersion"
            )
        return cells.sha256

    def _constant_batch(self, section: Dataset) -> str | None:
        """A batch whose cells all have the same total count, if there is one; looked for once."""
        if section not in self._constant:
            _, variance_b = self[section].library_moments()
            batches = zip(self[section].batches, variance_b, strict=True)
            self._constant[section] = next((name for name, variance in batches if variance == 0), None)
        return self._constant[section]
