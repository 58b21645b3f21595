"""Read from an AnnData file what a run needs, and not more than that into memory."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data import not_counts
from bie.data.cells import canonical
from bie.data.containers import opened_store
from bie.data.fractions import rounded
from bie.data.matrix import Matrix
from bie.data.nodes import Unreadable, child, encoding, is_group, leaves
from bie.data.overrides import override
from bie.data.table import Table
from bie.errors import BadInput

RAW = "raw.X"  # as dataset.layer names it


class AnnDataFile:
    """An open AnnData file; see `opened`.

    Matrices are named as in AnnData, ``X``, ``layers["..."]``, ``raw.X``, and found by what
    ``dataset.layer`` says: None, the name of a layer, ``raw.X``.

    Parameters
    ----------
    path
        For messages.
    root
        Group that holds ``X``, ``obs``, ``var``, ...: of HDF5 or of zarr.

    Attributes
    ----------
    notes
        What reading has changed, a sentence each.
    """

    def __init__(self, path: Path, root: Any) -> None:
        self.path = path
        self.notes: list[str] = []
        self._root = root
        self.obs = Table(child(root, "obs"), "obs")
        self._var = Table(child(root, "var"), "var")

    @property
    def cell_names(self) -> NDArray[np.str_]:
        """Shape (n,)."""
        return self.obs.names

    @property
    def gene_names(self) -> NDArray[np.str_]:
        """Names of the genes of X and of the layers, shape (g,)."""
        return self._var.names

    @property
    def size(self) -> str:
        """Cells x genes, for people."""
        return f"{len(self.obs):,} cells x {len(self._var):,} genes"

    @cached_property
    def matrices(self) -> dict[str | None, Matrix]:
        """Every matrix of the file that might hold counts, unread."""
        root = self._root
        found: dict[str | None, Matrix] = {}
        if _is_there(child(root, "X")):
            found[None] = Matrix(root["X"], "X", self.obs, self._var)
        layers = child(root, "layers")
        for layer, node in sorted(leaves(layers)) if layers is not None and is_group(layers) else ():
            found[layer] = Matrix(node, matrix_name(layer), self.obs, self._var)
        if child(root, "raw/X") is not None:
            var = child(root, "raw/var")
            genes = self._var if var is None or not is_group(var) else Table(var, "raw.var")
            found[RAW] = Matrix(root["raw/X"], RAW, self.obs, genes)
        return found

    def matrix(self, layer: str | None) -> Matrix:
        """The matrix that ``dataset.layer`` chooses.

        Raises
        ------
        BadInput
            If there is none; names those that hold counts.
        """
        if layer not in self.matrices:
            raise BadInput(self._no_such_matrix(layer))
        return self.matrices[layer]

    def counts(
        self, layer: str | None, batch_key: str | None = None, fractional: str = "refuse"
    ) -> sp.csr_matrix:
        """Read x_ng from a matrix, in the form of `bie.data.cells.Cells.counts`.

        Parameters
        ----------
        layer
            Which; see the class.
        batch_key
            Column of obs with the batches; helps to say what is wrong with values that are no counts.
        fractional
            Values that are not whole: ``refuse``, ``round`` or ``keep``.

        Raises
        ------
        BadInput
            If there is no such matrix, or its values are not counts; names a matrix that does hold counts.
        """
        matrix = self.matrix(layer)
        found = matrix.survey(whole=fractional == "refuse")
        if found.is_counts:
            x_ng = matrix.read()
            if matrix.absent:
                said = (
                    f"{matrix.absent}: read as zeros. If they held other values, copy the store again, whole"
                )
                self.notes.append(f"{self.path}: {matrix.name}: {said}")
            if fractional != "round":
                return x_ng
            x_ng, changes = rounded(f"{self.path}: {matrix.name}", x_ng)
            self.notes += changes
            return canonical(x_ng)
        held, remedy = not_counts.held(matrix, found, batch_key)
        where = self._where_counts_are(layer) or remedy
        raise BadInput(f"{self.path}: {matrix.name} {held}. scVI models raw counts; {where}")

    def holds_counts(self, layer: str | None) -> bool:
        """Whether there is such a matrix, and it can be read and holds counts."""
        try:
            return layer in self.matrices and self.matrices[layer].survey().is_counts
        except Unreadable:
            return False

    def _no_such_matrix(self, layer: str | None) -> str:
        layers = [name for name in self.matrices if name not in (None, RAW)]
        among = f"layers are: {', '.join(map(str, layers))}" if layers else "it has no layers"
        where = self._where_counts_are(layer) or not_counts.KEEP_THEM.replace("no", "No", 1)
        if layer == RAW:
            return f"{self.path}: dataset.layer={RAW}, but it has no raw; {among}. {where}"
        if layer is not None:
            return f"{self.path}: dataset.layer={layer} is not in layers; {among}. {where}"
        return f"{self.path} has no X; {among}. {where}"

    def _where_counts_are(self, other_than: str | None) -> str | None:
        found = [name for name in self.matrices if name != other_than and self.holds_counts(name)]
        layers = [name for name in found if name not in (None, RAW)]
        if layers:
            keys = ", ".join(f'"{name}" -> {override("dataset.layer", str(name))}' for name in layers)
            return f"layers that hold counts: {keys}"
        if None in found:
            return "X holds counts: leave dataset.layer out"
        if RAW in found:
            return f"raw.X holds counts: dataset.layer={RAW}"
        return None


def _is_there(node: Any) -> bool:
    """Whether there is a matrix; AnnData may write its absence down as a node of its own."""
    return node is not None and encoding(node) != "null"


def matrix_name(layer: str | None) -> str:
    """What AnnData calls the matrix that ``dataset.layer`` chooses."""
    if layer is None:
        return "X"
    return RAW if layer == RAW else f'layers["{layer}"]'


def unique_names(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Cells of joined samples, and genes, may share names: call them as AnnData's ``..._make_unique()``."""
    import pandas as pd
    from anndata.utils import make_index_unique

    index = pd.Index(names)
    if index.is_unique:
        return names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some names had such a suffix before
        return np.array(make_index_unique(index), dtype=np.str_)


@contextmanager
def opened(path: Path) -> Iterator[AnnDataFile]:
    """Open an AnnData file for reading.

    Raises
    ------
    BadInput
        If it does not exist, cannot be read (now or while it is open), or is not the file of an AnnData.
    """
    with opened_store(path) as root:
        yield AnnDataFile(path, root)
