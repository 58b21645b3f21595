"""Write and read what a run leaves: a record, or the reason why there is none.

``record.json`` is written last and under another name until it is complete, so that it exists if and
only if the run is done. What exists is never replaced.
"""

import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.store.paths import Tree

if TYPE_CHECKING:
    from bie.config import RunConfig

SCHEMA = 1
"""Of records that are written here."""
RECORD, FAILED, HISTORY, CHECKPOINT = "record.json", "failed.json", "history.csv", "checkpoint.pt"
MODEL, EMBEDDING = "model.pt", "embedding.npz"
EARLIER = "earlier"
"""In the folder of a run: what it left when it was done by other code; see `set_aside`."""
DECIDED = "decided.json"
"""In the folder of a grid point: why it gets no further seeds; see `bie.execution.stopping`."""

_VARIABLE = (
    (re.compile(r"(?:[\w.~-]*/)+[\w.~=-]*"), "PATH"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}\b"), "HEX"),
    (re.compile(r"[-+]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"), "N"),
)


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: temporary name, flush to disk, rename."""
    part = write_part(path, content)
    part.replace(path)


def write_part(path: Path, content: bytes) -> Path:
    """Write a file beside `path`, under a name that nobody else uses, to be moved or linked there."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # not the process id: nodes share folders
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        part.unlink(missing_ok=True)  # a full disk: leave nothing half written behind
        raise
    return part


def as_json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Indented JSON text; NaN is refused."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_record(folder: Path, record: Mapping[str, Any], files: Mapping[str, bytes]) -> bool:
    """Write the files of a finished run, its record last.

    Returns
    -------
    bool
        False if the run was done already (by somebody else meanwhile), whose record stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECORD).exists():
        return False
    for name, content in files.items():
        write_file(folder / name, content)
    written = _publish(write_part(folder / RECORD, as_json(record)), folder / RECORD)
    for name in (FAILED, CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    return written


def _publish(part: Path, path: Path) -> bool:
    """Rename unless `path` exists. A hard link tests and creates in one step, even on NFS."""
    try:
        path.hardlink_to(part)
        return True
    except FileExistsError:
        return False
    except OSError:  # a filesystem without hard links
        part.replace(path)
        return True
    finally:
        part.unlink(missing_ok=True)


def write_failure(folder: Path, failure: Mapping[str, Any]) -> None:
    """Write ``failed.json``, counting the attempts. Nothing is written beside a record.

    Parameters
    ----------
    failure
        At least ``cause``, ``message`` and ``traceback``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / RECORD).exists():
        attempt = 1 + int((read(folder / FAILED) or {}).get("attempt", 0))
        write_file(folder / FAILED, as_json({**failure, "attempt": attempt}))


def first_line(message: str) -> str:
    """First line that says something."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")


def normalised(message: str) -> str:
    """First line of a message without what differs from run to run: numbers, paths, addresses.

    >>> normalised("loss is nan at epoch 3 (seed=17), see /scratch/x/seed=0017")
    'loss is nan at epoch N (seed=N), see PATH'
    >>> normalised("0x7f3a of 64 GiB, loss 1.5e+30")
    'HEX of N GiB, loss N'
    """
    line = first_line(message)
    for pattern, name in _VARIABLE:
        line = pattern.sub(name, line)
    return line


def set_aside(folder: Path) -> None:
    """Move what a finished run left into ``earlier/<time and number>`` in its folder, the record last.

    So a run is done until all of it is moved. What another launch moves at the same time is left to it.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    names = [name for name in (HISTORY, MODEL, EMBEDDING, RECORD) if (folder / name).exists()]
    for name in names:
        place = folder / EARLIER / stem / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (folder / name).rename(place)


def asked_for(config: "RunConfig") -> dict[str, str]:
    """Files that a run is to leave beside its record, and the key of each; not every run has such."""
    from bie.config import Model

    asked = {
        MODEL: config.save.model and isinstance(config.model, Model),
        EMBEDDING: config.save.embedding and config.dataset.yields == "cells",
    }
    keys = {MODEL: "save.model", EMBEDDING: "save.embedding"}
    return {name: keys[name] for name, wanted in asked.items() if wanted}


def lacking(folder: Path, config: "RunConfig") -> list[str]:
    """Files that are asked for now and that a finished run has not left, as nobody asked for them then."""
    return [name for name in asked_for(config) if not (folder / name).exists()]


def done_seeds(config_folder: Path) -> set[int]:
    """Seeds of a grid point that have a record."""
    with contextlib.suppress(FileNotFoundError), os.scandir(config_folder) as entries:
        named = [entry for entry in entries if entry.name.startswith("seed=")]
        return {int(e.name.removeprefix("seed=")) for e in named if Path(e.path, RECORD).exists()}
    return set()


def read(path: Path) -> dict[str, Any] | None:
    """JSON object in a file; None where there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def decided(tree: Tree) -> dict[str, str]:
    """Why grid points get no further seeds, by the beginning of their ``config_id``."""
    paths = sorted(tree.runs.glob(f"*/*/*/{DECIDED}"))
    return {path.parent.name: str((read(path) or {}).get("reason", "decided")) for path in paths}


def read_all(tree: Tree, name: str) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Every file called `name` (`RECORD` or `FAILED`) of a study, in order of its path.

    Yields
    ------
    path, content
        The content is None where the file cannot be read, for the caller to say so.
    """
    for path in sorted(tree.runs.glob(f"*/*/*/seed=*/{name}")):
        yield path, read(path)
