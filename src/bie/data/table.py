"""A table of an AnnData file, obs or var: names of its rows and its columns, each read when it is needed."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.data.nodes import (
    Unreadable,
    absent_chunks,
    attribute,
    child,
    encoding,
    is_group,
    leaves,
    names_in,
    vector,
)

if TYPE_CHECKING:
    import pandas as pd

R_MISSING = (-(2**31), -(2**63))
"""R's missing integer, of 32 and (package bit64) of 64 bits, as R's writers leave it in a file."""

_LEVELS = "__categories"
_KNOWN = ("", "array", "string-array", "categorical", "string", "nullable-string-array")
_KNOWN_PREFIX = "nullable-"


class Table:
    """Columns by name, like a data frame that reads a column when one asks for it.

    Every column is held against the number of rows. Columns that cannot be read are no part of the
    iteration; `unreadable` lists them.

    Parameters
    ----------
    group
        The table's group in an HDF5 file or a zarr store.
    name
        What AnnData calls it: ``obs``, ``var``, ``raw.var``.
    """

    def __init__(self, group: Any, name: str) -> None:
        self.name = name
        self._group = group
        self._read: dict[str, pd.Series[Any]] = {}
        self._of_r: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def __iter__(self) -> Iterator[str]:
        return (key for key in self.keys if key not in self.unreadable)

    def __getitem__(self, key: str) -> "pd.Series[Any]":
        """Values of all rows, missing ones as missing, R's too."""
        if key not in self._read:
            self._read[key] = self._column(key)
        return self._read[key]

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """Names of the rows, shape (rows,)."""
        node = child(self._group, self._index)
        if node is None:
            raise Unreadable(
                f"{self.name} has no index: {self.name}/{self._index}, which names its rows, is not there. "
                "Write the file anew from where it was made"
            )
        name = f"{self.name}/{self._index}"
        text = node["values"] if is_group(node) and "values" in node else node
        if absent_chunks(text):  # a store leaves out chunks of blanks, which are no names
            raise Unreadable(f"{name} is not whole in this store. Copy the store again, whole")
        return np.array(_values(node, name), dtype=np.str_)

    @cached_property
    def group_sizes(self) -> dict[str, int]:
        """`bie.data.grouping.sizes`, which takes its time on many cells."""
        from bie.data.grouping import sizes

        return sizes(self)

    @cached_property
    def keys(self) -> list[str]:
        """Names of the columns, in their order; those that nobody listed last."""
        listed = names_in(self._group, "column-order")
        found = [
            key for key, _ in leaves(self._group) if not key.startswith(f"{_LEVELS}/") and key not in listed
        ]
        return [key for key in [*listed, *sorted(found)] if key != self._index]  # a store has no order

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Columns that cannot be read, and why. Reads the others."""
        found = {}
        for key in self.keys:
            try:
                self[key]
            except Exception as error:  # whatever it is, it is about a column nobody needs
                found[key] = str(error).partition("\n")[0]
        return found

    def missing_of_r(self, key: str) -> str:
        """How values are held that R alone takes for missing: ``numbers``, ``codes``, or "" for none."""
        self[key]
        return self._of_r[key]

    @property
    def _index(self) -> str:
        named = attribute(self._group, "_index")
        return str(named or next((name for name in ("_index", "index") if name in self._group), "_index"))

    def _column(self, key: str) -> "pd.Series[Any]":
        import pandas as pd

        name, node = f'{self.name}["{key}"]', child(self._group, key)
        if node is None:
            raise Unreadable(f"{name} is listed in column-order, but its data are gone")
        levels = None if is_group(node) else self._levels(key, node)
        if levels is None:
            values: Any = _values(node, name)
        else:
            values = _categorical(vector(node, name), _values(levels, f"{name}: levels"), name)
        if len(values) != len(self):
            raise Unreadable(
                f"{name} has {len(values):,} values, but {self.name} names {len(self):,} "
                f"{'cells' if self.name == 'obs' else 'genes'}, so they cannot be matched"
            )
        column = pd.Series(values, index=pd.RangeIndex(len(self)))
        of_r = _is_missing_for_r(column)
        codes = child(node, "codes") if is_group(node) else node if attribute(node, "categories") else None
        in_codes = codes is not None and _numbers_missing_for_r(codes[...]).any()
        in_numbers = of_r.any() or (levels is not None and _numbers_missing_for_r(node[...]).any())
        self._of_r[key] = "codes" if in_codes else "numbers" if in_numbers else ""
        return column.mask(of_r) if of_r.any() else column

    def _levels(self, key: str, node: Any) -> Any:
        """Names of a factor stored as numbers (anndata 0.7, SeuratDisk); None for any other column."""
        refers = attribute(node, "categories")
        levels = child(self._group, f"{_LEVELS}/{key}")
        if levels is None and refers:
            levels = node.file[refers]
        return levels


def _values(node: Any, name: str) -> Any:
    """Values of a column: an array, or a categorical or masked one of pandas."""
    import pandas as pd

    said = encoding(node)
    if said not in _KNOWN and not said.startswith(_KNOWN_PREFIX):
        raise Unreadable(
            f'{name} has the encoding "{said}", which this version of bie does not know. '
            "Another column, or the file written anew by an older anndata"
        )
    if not is_group(node):
        return vector(node, name)
    if "codes" in node and "categories" in node:
        return _categorical(vector(node["codes"], name), _values(node["categories"], f"{name}: levels"), name)
    if "values" in node and "levels" in node:  # a factor of h5Seurat, numbered from 1
        levels, values = _values(node["levels"], f"{name}: levels"), vector(node["values"], name)
        return _categorical(np.where(_numbers_missing_for_r(values), -1, values - 1), levels, name)
    if "values" in node and "mask" in node:
        values, mask = vector(node["values"], name), vector(node["mask"], name).astype(bool)
        if len(values) != len(mask):
            raise Unreadable(f"{name} has {len(values):,} values, but a mask of {len(mask):,}")
        column = pd.Series(values)
        typed = column if values.dtype.kind == "f" else column.convert_dtypes()
        return typed.mask(mask).array
    raise Unreadable(f"{name} is a group of {', '.join(node) or 'nothing'}, which is no column")


def _categorical(codes: NDArray[Any], levels: Any, name: str) -> Any:
    """Values of a factor; a code of -1, or R's missing integer, is a missing value."""
    import pandas as pd

    if codes.dtype.kind not in "biu":
        raise Unreadable(f"{name}: the codes of its levels are {codes.dtype}, not whole numbers")
    known = np.where(_numbers_missing_for_r(codes), -1, codes.astype(np.int64))
    wrong = known[(known < -1) | (known >= len(levels))]
    if wrong.size:
        raise Unreadable(
            f"{name} has the code {wrong[0]}, but {len(levels):,} levels (0 to {len(levels) - 1})"
        )
    index = pd.Index(levels)
    if index.hasnans or not index.is_unique:
        which = (
            "a level without a name" if index.hasnans else f'the level "{index[index.duplicated()][0]}" twice'
        )
        raise Unreadable(f"{name} has {which}. Name its levels anew where it was made")
    return pd.Categorical.from_codes(known, index)  # type: ignore[arg-type, unused-ignore]


def _is_missing_for_r(column: "pd.Series[Any]") -> "pd.Series[bool]":
    """Which values are R's missing integer: as a number, as a category, or as text."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.categories
        return column.isin(levels[_is_missing_for_r(pd.Series(levels)).to_numpy()])
    if pd.api.types.is_numeric_dtype(column):
        return column.isin(R_MISSING)
    return column.isin([str(number) for number in R_MISSING])


def _numbers_missing_for_r(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isin(values, R_MISSING) if values.dtype.kind == "i" else np.zeros(values.shape, dtype=bool)
