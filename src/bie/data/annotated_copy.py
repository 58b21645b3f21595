"""A copy of an AnnData file with an embedding added, everything else in it as it was."""

import secrets
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bie.data.nodes import child, is_group
from bie.errors import BadInput

ENDINGS = (".h5ad", ".zarr")


def check_target(source: Path, target: Path) -> None:
    """Raise `BadInput` unless a copy of `source` can be written to `target`, which must not exist."""
    if target.suffix not in ENDINGS:
        raise BadInput(f"--out {target}: its name has to end in {' or '.join(ENDINGS)}")
    if target.exists():
        same = " is --data itself" if source.exists() and target.samefile(source) else " is there already"
        raise BadInput(f"--out {target}{same}. Give another name, nothing is overwritten")
    if not target.absolute().parent.is_dir():
        raise BadInput(f"--out {target}: there is no folder {target.parent}")


def write_copy(
    source: Path, target: Path, key: str, z_nd: NDArray[np.float32], facts: Mapping[str, Any]
) -> None:
    """Write `target`: `source` with ``obsm[X_key]`` and ``uns[key]``, whole or not at all.

    Parameters
    ----------
    source
        An ``.h5ad`` file or a ``.zarr`` store, which is not loaded unless `target` is of the other kind.
    z_nd
        Latent vector of every cell, in the order of obs.
    facts
        What ``uns`` says of them: text, numbers, arrays.

    Raises
    ------
    BadInput
        obsm of `source` is in a form of anndata before 0.7.
    """
    part = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        _copy(source, part)
        with _opened(part) as root:
            _add(source, root, "obsm", f"X_{key}", z_nd)
            _add(source, root, "uns", key, dict(facts))
        part.rename(target)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    """Copy, by way of memory where a file becomes a store or the reverse."""
    import anndata

    if source.is_dir() and part.suffix == ".zarr":
        shutil.copytree(source, part)
    elif not source.is_dir() and part.suffix == ".h5ad":
        shutil.copyfile(source, part)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that several cells have, of formats to come
            whole = anndata.read_zarr(source) if source.is_dir() else anndata.read_h5ad(source)
            whole.write_h5ad(part) if part.suffix == ".h5ad" else whole.write_zarr(part)


@contextmanager
def _opened(part: Path) -> Iterator[Any]:
    if part.suffix == ".h5ad":
        import h5py

        with h5py.File(part, "r+") as file:
            yield file
        return
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats to come
        root = zarr.open_group(part, mode="r+", use_consolidated=False)
        yield root
        zarr.consolidate_metadata(root.store)  # a summary that came with the copy knows nothing of this


def _add(source: Path, root: Any, group: str, key: str, value: Any) -> None:
    """Write an element into a group of the root, which is made where there is none."""
    from anndata.io import write_elem

    node = child(root, group)
    if node is None:
        write_elem(root, group, {})
    elif not is_group(node):
        raise BadInput(
            f"{source}: its {group} is in a form of anndata before 0.7. Write it anew by a newer one"
        )
    write_elem(root[group], key, value)
