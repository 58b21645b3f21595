"""The prepared copy of a data set on disk, which all workers map instead of loading it again."""

import errno
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.data.cells import Cells


def write_prepared(cells: Cells, folder: Path) -> Path:
    """Write the cells as plain arrays, or find that this has been done.

    The copy appears under its final name by one rename, so it is whole whenever it is there, also when
    several processes write it at the same time.

    Returns
    -------
    Path
        ``folder/<first 12 hex digits of cells.sha256>``.
    """
    place = folder / cells.sha256[:12]
    if place.exists():
        return place
    draft = folder / f".{place.name}.{uuid.uuid4().hex}"
    try:
        _write(draft, cells)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)  # a full disk: leave nothing half written behind
        # numpy gives a write that was cut short no number
        raise OSError(error.errno or errno.ENOSPC, str(error), str(folder)) from error
    _publish(draft, place)
    return place


def _write(draft: Path, cells: Cells) -> None:
    draft.mkdir(parents=True)
    for name, array in _arrays(cells).items():
        np.save(draft / f"{name}.npy", array)
    meta = {
        **cells.hashes,
        "shape": cells.counts.shape,
        "batches": cells.batches,
        "labels": cells.labels,
        "library_prior": cells.library_prior,
        "notes": cells.notes,
    }
    (draft / "meta.json").write_text(json.dumps(meta))


def read_prepared(path: Path) -> Cells:
    """Map a prepared copy: read-only arrays whose pages all processes share, none loaded before its use."""
    meta = json.loads((path / "meta.json").read_text())
    arrays: dict[str, NDArray[Any]] = {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")}
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    counts = sp.csr_matrix(parts, shape=tuple(meta["shape"]), copy=False)
    counts.has_canonical_format = True  # else SciPy would walk through all entries to find out
    cells = Cells(
        counts=counts,
        batch=arrays["batch"],
        batches=tuple(meta["batches"]),
        label=arrays.get("label"),
        labels=tuple(meta["labels"]),
        cell_names=arrays["cell_names"],
        gene_names=arrays["gene_names"],
        library_prior=meta["library_prior"],
        factors=arrays.get("factors"),
        notes=tuple(meta.get("notes", ())),
    )
    # fills the caches of the properties: hashing would read everything (copies of old have one of the hashes)
    vars(cells).update({name: meta[name] for name in ("sha256", "unlabelled_sha256") if name in meta})
    return cells


def _arrays(cells: Cells) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "data": cells.counts.data,
        "indices": cells.counts.indices,
        "indptr": cells.counts.indptr,
        "batch": cells.batch,
        "cell_names": cells.cell_names,
        "gene_names": cells.gene_names,
    }
    optional = {"label": cells.label, "factors": cells.factors}
    return arrays | {name: array for name, array in optional.items() if array is not None}


def _publish(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        if not place.exists():
            raise
        shutil.rmtree(draft)  # another process was first, with the same content
