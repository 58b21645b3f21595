"""Read from an ``.h5ad`` file what a run needs, and not more than that into memory."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data.cells import canonical
from bie.data.checks import first_non_count
from bie.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

_ROWS, _ENTRIES = 1000, 2**20  # of a dense and of a sparse matrix, read at a time


class AnnDataFile:
    """An open ``.h5ad`` file; see `opened`.

    Matrices are named as in AnnData: ``X``, ``layers["..."]``, ``raw.X``.
    """

    def __init__(self, path: Path, content: Any) -> None:
        self.path = path
        self._content = content

    @cached_property
    def obs(self) -> "pd.DataFrame":
        """What is known of every cell."""
        from anndata.io import read_elem

        frame: pd.DataFrame = read_elem(self._content["obs"])
        return frame

    @property
    def cell_names(self) -> NDArray[np.str_]:
        """Shape (n,)."""
        return np.array(self.obs.index, dtype=np.str_)

    @cached_property
    def gene_names(self) -> NDArray[np.str_]:
        """Shape (g,)."""
        from anndata.io import read_elem

        return np.array(read_elem(self._content["var"]).index, dtype=np.str_)

    @property
    def size(self) -> str:
        """Cells x genes, for people."""
        return f"{len(self.obs):,} cells x {len(self.gene_names):,} genes"

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return sorted(self._content.get("layers", {}))

    def matrices(self) -> dict[str, Any]:
        """Every matrix of the file that might hold counts, unread, by its name."""
        content = self._content
        found = {"X": content["X"]} if "X" in content else {}
        found |= {matrix_name(name): content["layers"][name] for name in self.layers}
        return found | ({"raw.X": content["raw/X"]} if "raw/X" in content else {})

    def counts(self, layer: str | None) -> sp.csr_matrix:
        """Read x_ng from X (None) or a layer, in the form of `bie.data.cells.Cells.counts`.

        Raises
        ------
        BadInput
            If there is no such matrix, or its values are not counts; names a matrix that does hold counts.
        """
        name, matrices = matrix_name(layer), self.matrices()
        if name not in matrices:
            raise BadInput(self._no_such_matrix(layer))
        found = survey(matrices[name])
        if found.is_counts:
            return _read(matrices[name])
        held = "holds no counts at all"
        if found.bad is not None:
            held = f"holds {found.bad:.4g}, which is not a count"
        raise BadInput(f"{self.path}: {name} {held}. scVI models raw counts; {self._where_counts_are(name)}")

    def holds_counts(self, layer: str | None) -> bool:
        """Whether X (None) or a layer is there and holds counts."""
        matrix = self.matrices().get(matrix_name(layer))
        return matrix is not None and survey(matrix).is_counts

    def _no_such_matrix(self, layer: str | None) -> str:
        layers = f"layers are: {', '.join(self.layers)}" if self.layers else "it has no layers"
        if layer is None:
            return f"{self.path} has no X; {layers}. Choose one: dataset.layer=NAME"
        return f"{self.path}: dataset.layer={layer} is not in layers; {layers}. Without the key, X is used"

    def _where_counts_are(self, other_than: str) -> str:
        layers = [name for name in self.layers if matrix_name(name) != other_than and self.holds_counts(name)]
        if layers:
            keys = ", ".join(f'"{name}" -> {override("dataset.layer", name)}' for name in layers)
            return f"layers that hold counts: {keys}"
        if other_than != "X" and self.holds_counts(None):
            return "X holds counts: leave dataset.layer out"
        if "raw/X" in self._content and survey(self._content["raw/X"]).is_counts:
            file = "counts.h5ad"
            return f'raw.X holds counts: adata.raw.to_adata().write_h5ad("{file}") -> dataset.path={file}'
        return (
            "no matrix of this file holds counts. Where you normalise, keep them first: "
            'adata.layers["counts"] = adata.X.copy() -> dataset.layer=counts'
        )


def matrix_name(layer: str | None) -> str:
    """What AnnData calls the matrix that ``dataset.layer`` chooses."""
    return "X" if layer is None else f'layers["{layer}"]'


def override(key: str, value: str) -> str:
    """What to type to set a key, quoted for Hydra and for the shell."""
    return shlex.quote(f"{key}={_hydra(value)}")


def _hydra(value: str) -> str:
    """Quote a value where Hydra's grammar would read something else than this text."""
    plain = re.fullmatch(r"[A-Za-z0-9_./@+-]+", value) and not re.fullmatch(
        r"null|true|false|nan|[+-]?inf", value, re.I
    )
    # within quotes, Hydra reads backslashes literally except before a quote
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)
    return value if plain else f"'{escaped}'"


@contextmanager
def opened(path: Path) -> Iterator[AnnDataFile]:
    """Open an ``.h5ad`` file for reading.

    Raises
    ------
    BadInput
        If it does not exist, cannot be read (now or while it is open), or is not the file of an AnnData.
    """
    import h5py

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadInput(f"{path} {what} (seen from {Path.cwd()}). Give the path of an .h5ad file")
    if not h5py.is_hdf5(path):
        size = path.stat().st_size
        raise BadInput(f'{path} ({size:,} bytes) is not an .h5ad file. Write one: adata.write_h5ad("X.h5ad")')
    try:
        with h5py.File(path, "r") as content:
            _check_layout(path, content)
            yield AnnDataFile(path, content)
    except OSError as error:
        raise BadInput(f"{path} cannot be read, it may be damaged or incomplete: {error}") from None


def _check_layout(path: Path, content: Any) -> None:
    """Refuse HDF5 that is not AnnData (10x, loom, ...), and AnnData of before 2020 with its flat tables."""
    import h5py

    if not isinstance(content.get("obs"), h5py.Group) or not isinstance(content.get("var"), h5py.Group):
        raise BadInput(
            f"{path} is HDF5, but not an AnnData of version 0.7 or later. "
            'Read it with scanpy and write it anew: adata.write_h5ad("X.h5ad")'
        )


class Survey(NamedTuple):
    """What looking through a matrix gave: its first value that is no count, and whether any is above 0."""

    bad: float | None
    any_count: bool
    layout: str

    @property
    def is_counts(self) -> bool:
        """Whether the matrix holds counts and nothing else."""
        return self.bad is None and self.any_count


def survey(matrix: Any) -> Survey:
    """Look through an unread matrix, some values at a time."""
    from anndata.io import sparse_dataset

    stored = matrix["data"] if _is_sparse(matrix) else matrix
    layout = f"{sparse_dataset(matrix).format if _is_sparse(matrix) else 'dense'} {stored.dtype}"
    if stored.dtype.kind not in "biuf":
        return Survey(float("nan"), False, layout)
    any_count = False
    for block in _blocks(matrix):
        bad = first_non_count(block)
        if bad is not None:
            return Survey(bad, any_count, layout)
        any_count = any_count or bool(block.any())
    return Survey(None, any_count, layout)


def _is_sparse(matrix: Any) -> bool:
    return hasattr(matrix, "keys")  # an HDF5 group; a dense matrix is one HDF5 dataset


def _blocks(matrix: Any) -> Iterator[NDArray[Any]]:
    """Stored values, some at a time."""
    stored = matrix["data"] if _is_sparse(matrix) else matrix
    step = _ENTRIES if _is_sparse(matrix) else _ROWS
    for start in range(0, stored.shape[0], step):
        yield stored[start : start + step]


def _read(matrix: Any) -> sp.csr_matrix:
    from anndata.io import sparse_dataset

    if _is_sparse(matrix):
        stored = sparse_dataset(matrix)
        return canonical(_read_rows(matrix, stored.shape) if stored.format == "csr" else stored.to_memory())
    parts = [canonical(sp.csr_matrix(rows)) for rows in _blocks(matrix)]
    return canonical(sp.vstack(parts, format="csr"))


def _read_rows(matrix: Any, shape: tuple[int, int]) -> sp.csr_matrix:
    """Read a CSR matrix into arrays of their final types, so that no second one of its size is needed."""
    types = {"data": np.float32, "indices": np.int32, "indptr": np.int64}
    arrays = {name: np.empty(matrix[name].shape, dtype) for name, dtype in types.items()}
    for name, array in arrays.items():
        for start in range(0, len(array), _ENTRIES):
            array[start : start + _ENTRIES] = matrix[name][start : start + _ENTRIES]
    return sp.csr_matrix(tuple(arrays[name] for name in types), shape=shape, copy=False)
