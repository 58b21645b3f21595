"""Read the tables of an old pandas pickle without letting it run anything.

A pickle is a program: it may call any function it can name (Python documentation, "pickle", restricting
globals). The tables here need nine names. NumPy's are mapped to NumPy's constructors of arrays; pandas' are
mapped to inert stand-ins that only keep what they are given, so that reading depends neither on trust in the
file nor on the version of pandas, whose modules have moved since the file was written.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from bie.errors import BadInput


class Frame:
    """Stand-in for a `pandas.DataFrame` and for its `BlockManager`: keeps the pickled state."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def index(self) -> Any:
        """Row names, shape (n,): the second axis of the block manager."""
        return self.state["_data"].state[0][1]


class _Index:
    """Stand-in for `pandas.Index` and its kinds; only named, never made."""


def _new_index(kind: type, state: dict[str, Any]) -> Any:
    return state["data"]


def _new_array(kind: type, shape: tuple[int, ...], dtype: bytes) -> Any:
    return np.ndarray.__new__(np.ndarray, shape, dtype.decode() if isinstance(dtype, bytes) else dtype)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "slice"): slice,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("pandas.core.frame", "DataFrame"): Frame,
    ("pandas.core.internals", "BlockManager"): Frame,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.base", "_new_Index"): _new_index,
    ("pandas.core.indexes.numeric", "Int64Index"): _Index,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no table needs")
        return _ALLOWED[module, name]


def read(path: Path) -> dict[str, Any]:
    """Arrays, and data frames as `Frame`, by name.

    Raises
    ------
    BadInput
        If the file names anything beyond what old tables are made of, or is no pickle of a dictionary.
    """
    try:
        with path.open("rb") as file:
            tables = _Unpickler(file).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise BadInput(
            f"{path} is not the table that was expected: {error}. Delete it, fetch it again"
        ) from None
    if not isinstance(tables, dict):
        raise BadInput(f"{path} holds a {type(tables).__name__}, no tables. Delete it, fetch it again")
    return tables
