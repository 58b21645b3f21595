"""What is known of a data set before it is loaded."""

import importlib
import pkgutil
from dataclasses import dataclass

import bie.data.datasets as datasets
from bie.data.download import Remote


@dataclass(frozen=True)
class Card:
    """One line of the list that ``python -m bie.data`` prints.

    Attributes
    ----------
    name
        Name of the module in `bie.data.datasets` and of the file in ``conf/dataset``.
    about
        What it is and where it comes from.
    size, batches, types
        Cells x genes, number of batches and of cell types, as text: some depend on settings.
    files
        What has to be downloaded, () for nothing.
    """

    name: str
    about: str
    size: str
    batches: str
    types: str
    files: tuple[Remote, ...] = ()


def cards() -> dict[str, Card]:
    """Cards of all data sets by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    return {name: importlib.import_module(f"bie.data.datasets.{name}").CARD for name in names}
