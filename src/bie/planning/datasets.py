"""The datasets of a launch: each read once, and checked against what the configurations want of it."""

from importlib import import_module

from bie import kinds
from bie.config import Data, Method, RunConfig
from bie.data import download
from bie.data.cells import Cells
from bie.data.load import load
from bie.data.perturb import check as check_perturbation
from bie.errors import BadInput
from bie.methods import check


class Datasets:
    """Reads each distinct dataset section once.

    What is not on this machine yet is fetched if it `may_download`; else it has a content that no record has.
    """

    def __init__(self, may_download: bool = True) -> None:
        self._may_download = may_download
        self._to_download: dict[Data, str] = {}
        self._cells: dict[Data, Cells] = {}
        self._has_one_total: dict[Data, bool] = {}

    def __getitem__(self, section: Data) -> Cells:
        if section not in self._cells:
            self._cells[section] = load(section)
        return self._cells[section]

    def to_download(self, section: Data) -> str:
        """Number and size of the files that are missing and may not be fetched; empty where none is."""
        if self._may_download or section in self._cells or section.yields != "cells":
            return ""
        if section not in self._to_download:
            files = import_module(f"bie.data.datasets.{section.source}").CARD.files
            chosen = getattr(section, "cache", None)
            missing = download.missing(files, download.cache_folder(section.source, chosen)) if files else []
            self._to_download[section] = download.volume(missing) if missing else ""
        return self._to_download[section]

    def content(self, config: RunConfig) -> dict[str, str]:
        """Hashes of the cells of a configuration, checked against what it wants to do with them.

        Raises
        ------
        BadInput
            Too few cells to split, cells that cannot be perturbed so, a library size that cannot be modelled,
            a dispersion for each cell type of cells without types, or a control that these cells or this
            environment lack something for.
        """
        if kind := kinds.of(config.dataset):
            kind.check(config)
            return kinds.content(config.dataset)
        if self.to_download(config.dataset):
            return dict.fromkeys(("sha256", "unlabelled_sha256"), f"not here: {config.dataset.source}")
        cells, fraction = self[config.dataset], config.split.train_fraction
        n_train = int(fraction * cells.n_cells)
        if min(n_train, cells.n_cells - n_train) < 2:
            raise BadInput(
                f"split.train_fraction={fraction}: of {cells.n_cells} cells that leaves {n_train} for "
                f"training and {cells.n_cells - n_train} for testing; at least 2 each are needed"
            )
        check_perturbation(cells, config.perturb)
        if isinstance(config.model, Method):
            check(config.model, cells, n_train)
            return cells.hashes
        if config.model.library == "modelled" and self._one_total(config.dataset):
            raise BadInput(
                f"model.library=modelled: all {cells.n_cells} cells have the same total count, "
                f"{cells.counts[0].sum():g}, so there is no distribution to model. Use model.library=observed"
            )
        acts = "dispersion" not in config.model.inactive()
        if config.model.dispersion == "gene-label" and acts and cells.label is None:
            raise BadInput(
                "model.dispersion=gene-label: the cells have no labels. Name their column, "
                "dataset.label_key=..., or use another model.dispersion"
            )
        return cells.hashes

    def _one_total(self, section: Data) -> bool:
        """Whether all cells have the same total count; looked at once."""
        if section not in self._has_one_total:
            _, variance_b = self[section].library_moments()
            self._has_one_total[section] = not variance_b.all()
        return self._has_one_total[section]
