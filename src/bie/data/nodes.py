"""Nodes of an HDF5 file and of a zarr store, read alike: groups, arrays, their attributes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PARTS = ("indptr", "codes", "values")
"""What tells a sparse matrix, a factor or a masked column from a folder, where nobody wrote an encoding."""


class Unreadable(Exception):  # noqa: N818 - reads as what it is at every raise
    """A part of a file cannot be used; says which, why and what to do, but not the path of the file."""


def is_group(node: Any) -> bool:
    """Whether a node holds others; an array has a shape."""
    return not hasattr(node, "shape")


def child(group: Any, name: str) -> Any:
    """Node of this name, or path, within a group; None if there is none or its link leads nowhere."""
    try:
        return group[name]
    except KeyError:
        return None


def attribute(node: Any, name: str) -> Any:
    """Attribute of a node or None; text is str, also where R wrote an array of one fixed-length text."""
    value = node.attrs.get(name)
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "SUOT":
        value = value.reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else value


def names_in(node: Any, name: str) -> list[str]:
    """Attribute that lists names, such as ``column-order``; [] if it is absent or empty."""
    listed = node.attrs.get(name)
    if listed is None or getattr(listed, "dtype", np.dtype(object)).kind not in "SUOT":
        return []  # anndata writes an empty list as an array of floats
    return [text for text in decoded(np.atleast_1d(np.asarray(listed, dtype=object))) if text]


def encoding(node: Any) -> str:
    """What the node says it holds, in AnnData's words; empty for nodes without an encoding."""
    return str(attribute(node, "encoding-type") or "")


def leaves(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Arrays and encoded groups below a group, by their path: a name with a slash is stored as a path."""
    for name in group:
        node = child(group, name)
        if node is None:
            continue
        if not is_group(node) or encoding(node) or any(part in node for part in _PARTS):
            yield prefix + name, node
        else:
            yield from leaves(node, f"{prefix}{name}/")


def absent_chunks(node: Any) -> int:
    """Chunks of an array that a zarr store does not hold, and gives as zeros; 0 in HDF5."""
    present = getattr(node, "nchunks_initialized", None)
    return 0 if present is None or not node.size else n_chunks(node) - int(present)


def n_chunks(node: Any) -> int:
    """Chunks that a zarr store needs for an array; those of the last shard are all there."""
    shards: tuple[int, ...] = node.shards or node.chunks
    n_shards = [-(-length // shard) for length, shard in zip(node.shape, shards, strict=True)]
    in_each = [shard // chunk for shard, chunk in zip(shards, node.chunks, strict=True)]
    return int(math.prod(n_shards) * math.prod(in_each))


def vector(node: Any, name: str) -> NDArray[Any]:
    """Read an array of one dimension: numbers and truth values as they are, text as str in an object array.

    Members of an enumeration (logical values of R: FALSE, TRUE, NA) become their names.
    """
    if node.shape is None:
        return np.zeros(0, dtype=object)  # HDF5's empty dataset
    if len(node.shape) != 1 and max(node.shape, default=1) != np.prod(node.shape):
        raise Unreadable(f"{name} has {_times(node.shape)} values, where one for each row is needed")
    if node.dtype.names:
        raise Unreadable(f"{name} is a table, where a column is needed")
    values = np.asarray(node[...]).reshape(-1)
    if values.dtype.kind not in "biufSUOT" or not all(
        v is None or isinstance(v, str | bytes) for v in _objects(values)
    ):
        raise Unreadable(f"{name} holds values of type {node.dtype}, neither numbers nor text")
    members = (node.dtype.metadata or {}).get("enum")
    if members:
        named = {code: label for label, code in members.items()}
        return np.array([named.get(code) for code in values.tolist()], dtype=object)
    return decoded(values) if values.dtype.kind in "SUOT" else values.astype(_known(values.dtype), copy=False)


def _known(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type by which pandas can group such numbers: of this machine's byte order, no float16."""
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype.newbyteorder("=")


def _objects(values: NDArray[Any]) -> list[Any]:
    return values.tolist() if values.dtype.kind == "O" else []


def decoded(values: NDArray[Any]) -> NDArray[Any]:
    """Text as str: bytes are UTF-8 or, as R on Windows may write them, Latin-1."""
    return np.array([_text(value) for value in values.tolist()], dtype=object)


def _text(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{length:,}" for length in shape) or "1"
