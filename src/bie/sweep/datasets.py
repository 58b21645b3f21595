"""The datasets of a launch: each read and checked once, known by its content."""

from dataclasses import dataclass
from pathlib import Path

from bie.config import Dataset, RunConfig
from bie.data.load import load
from bie.data.shelf import shelve
from bie.errors import BadInput


@dataclass(frozen=True)
class Known:
    """A dataset that has been read.

    Attributes
    ----------
    sha256
        Of its content.
    shelf
        Folder of the copy that workers map; there is none where none was asked for.
    size
        One line for people.
    n_cells
        Number of cells.
    constant_library
        A batch whose cells all have the same total count, if there is one.
    """

    sha256: str
    shelf: Path
    size: str
    n_cells: int
    constant_library: str | None


class Datasets:
    """Reads each distinct dataset section once and keeps facts, not cells.

    Parameters
    ----------
    shelf
        Where to put the copies that workers map; None to put none (a plan launches nothing).
    """

    def __init__(self, shelf: Path | None) -> None:
        self._shelf = shelf
        self._known: dict[Dataset, Known] = {}

    def __getitem__(self, section: Dataset) -> Known:
        if section not in self._known:
            cells = load(section)
            shelf = shelve(cells, self._shelf) if self._shelf else Path()
            size = f"{cells.n_cells:,} cells x {cells.n_genes:,} genes, {cells.n_batches} batches"
            variances = zip(cells.batches, cells.library_moments()[1], strict=True)
            constant = next((batch for batch, variance in variances if variance == 0), None)
            self._known[section] = Known(cells.sha256, shelf, size, cells.n_cells, constant)
        return self._known[section]

    def content(self, config: RunConfig) -> str:
        """SHA-256 of the cells of a configuration, checked against what it wants to do with them.

        Raises
        ------
        BadInput
            Too few cells to split, or a library size that cannot be modelled.
        """
        known, fraction = self[config.dataset], config.split.train_fraction
        n_train = int(fraction * known.n_cells)
        if min(n_train, known.n_cells - n_train) < 2:
            raise BadInput(
                f"split.train_fraction={fraction}: of {known.n_cells} cells that leaves {n_train} for "
                f"training and {known.n_cells - n_train} for testing; at least 2 each are needed"
            )
        if config.model.library == "modelled" and known.constant_library is not None:
            raise BadInput(
                f"model.library=modelled: the cells of batch {known.constant_library} all have the same "
                "total count, so there is no distribution to model. Use model.library=observed"
            )
        return known.sha256
