"""Open what lies at a path, so that whatever goes wrong with it is one line about that path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bie.data.foreign import other_file, other_folder, other_hdf5, other_zarr
from bie.data.nodes import Unreadable
from bie.errors import BadInput


@contextmanager
def opened_store(path: Path) -> Iterator[Any]:
    """Root group of an AnnData file, while it is open.

    Whatever goes wrong while it is open, in reading or in what is read, is bad input of this file.

    Raises
    ------
    BadInput
        The path with what is wrong and what to do.
    """
    import h5py

    if any((path / name).is_file() for name in _ZARR):
        with _explained(path):
            yield _zarr(path)
        return
    if path.is_dir():
        raise BadInput(f"{path}: {other_folder(path)}")
    if not path.is_file():
        raise BadInput(f"{path} does not exist (seen from {Path.cwd()}). {_WHAT}")
    with _explained(path):
        if not h5py.is_hdf5(path):
            raise Unreadable(other_file(path))
        with _hdf5(path) as root:
            other = other_hdf5(path, root)
            if other:
                raise Unreadable(other)
            yield root


_AGAIN = "Copy or download it again, or write it anew where it was made"
_WHAT = "Give the path of an .h5ad file or .zarr store"
_ZARR = (".zgroup", "zarr.json")
"""What marks a folder as the root of a zarr store, of version 2 and 3."""


def _zarr(path: Path) -> Any:
    import zarr

    root = zarr.open_group(path, mode="r", use_consolidated=False)  # a summary may be older than the store
    other = other_zarr(path, root)
    if other:
        raise Unreadable(other)
    return root


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Make bad input of every error: one line that begins with the path."""
    try:
        yield
    except BadInput:
        raise
    except Unreadable as error:
        raise BadInput(f"{path}: {error}") from error
    except PermissionError as error:
        raise BadInput(f"{path} may not be read by you: {error.strerror}") from error
    except MemoryError as error:
        raise BadInput(f"{path} does not fit into the memory that this process may use") from error
    except Exception as error:
        raise BadInput(
            f"{path} cannot be read, it may be damaged or incomplete: {_one_line(error)}"
        ) from error


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        raise Unreadable(
            'another process holds it open for writing, such as a notebook with backed="r+". Close it there; '
            "or, on a file system without locks, put HDF5_USE_FILE_LOCKING=FALSE before the command"
        ) from error
    with file:
        yield file


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "plugin" in text or "required filter" in text:
        return (
            f"it is compressed by a filter that HDF5 lacks here ({text}). Where it can be read, write it "
            'anew: adata.write_h5ad("X.h5ad", compression="gzip")'
        )
    return f"{text if isinstance(error, OSError) else f'{type(error).__name__}: {text}'}. {_AGAIN}"
