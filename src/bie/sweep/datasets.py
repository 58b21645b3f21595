"""The datasets of a launch: each read and checked once, known by its content."""

from dataclasses import dataclass
from pathlib import Path

from bie.config import Dataset
from bie.data.load import load
from bie.data.shelf import shelve


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
    """

    sha256: str
    shelf: Path
    size: str


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
            self._known[section] = Known(cells.sha256, shelf, size)
        return self._known[section]
