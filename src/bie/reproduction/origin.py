"""What a record was made from: the launch that noted its run, and the source that it was made by."""

import functools
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bie.errors import BadInput
from bie.store.identity import SHOWN, config_id, run_id
from bie.store.launches import POINTS, SOURCE
from bie.store.paths import Tree, seed_name
from bie.store.provenance import FROZEN
from bie.store.record import RECORD, SCHEMA, read


@dataclass(frozen=True)
class Origin:
    """A finished run with all that it takes to do it again.

    Attributes
    ----------
    record
        Content of ``record.json``.
    launch
        Folder of a launch that noted the run and froze the source that made the record.
    """

    record: Mapping[str, Any]
    launch: Path

    @property
    def made_by(self) -> Mapping[str, Any]:
        """The record's provenance."""
        found: Mapping[str, Any] = self.record["provenance"]
        return found


def origin_of(tree: Tree, folder: Path) -> Origin:
    """Where the record in the folder of a run comes from.

    Raises
    ------
    BadInput
        There is none, it cannot be read, or no launch of the study tells how it was made.
    """
    record = _record(folder / RECORD)
    launches = [path for path in sorted(tree.launches.glob("*"), reverse=True) if (path / SOURCE).is_file()]
    noting = [path for path in launches if record["config_id"] in (read(path / POINTS) or {})]
    if not noting:
        raise BadInput(
            f"{folder}: no launch of {tree.root} noted how this run is made "
            "(it was imported, or launches/ is gone), so that it cannot be made again"
        )
    if not _is_itself(record, folder):
        raise BadInput(
            f"{folder / RECORD}: its config and seed are not those that its ids were made of: it was "
            "changed, or copied from another run. Move this folder away; bie retry does the run anew"
        )
    source = record["provenance"].get("source_sha256")
    made = [path for path in noting if source_sha256(path / SOURCE) == source]
    if not made:
        raise BadInput(
            f"{folder}: the source that made this record ({str(source)[:12]}) is frozen in no "
            f"launch of {tree.root}"
        )
    return Origin(record, made[0])


def _record(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise BadInput(f"{path.parent}: this run is not done, there is no {RECORD} to compare with")
    record = read(path)
    if record is None:
        raise BadInput(f"{path}: cannot be read")
    if record.get("schema") != SCHEMA:
        raise BadInput(f"{path}: schema {record.get('schema')}; this bie reads {SCHEMA}")
    parts = {"config_id": str, "seed": int, "config": dict, "metrics": dict, "provenance": dict}
    if wrong := [name for name, kind in parts.items() if not isinstance(record.get(name), kind)]:
        raise BadInput(f"{path}: {', '.join(wrong)} cannot be read")
    return record


def _is_itself(record: Mapping[str, Any], folder: Path) -> bool:
    """Whether a record is of the run that it names, and of which it lies in the folder."""
    config, seed = record["config"], record["seed"]
    ids = record["config_id"], record.get("run_id")
    if folder.name != seed_name(seed) or folder.parent.name != ids[0][:SHOWN] or config.get("seed") != seed:
        return False
    try:
        return ids == (config_id(config), run_id(config, seed))
    except ValueError:  # a number that JSON does not have
        return False


@functools.cache
def source_sha256(archive: Path) -> str | None:
    """Hash of the code in a launch's ``source.zip``, as records have it; None for a damaged archive."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(archive) as frozen:
            for name in sorted(set(frozen.namelist()) - {FROZEN}):
                digest.update(name.encode() + b"\0" + hashlib.sha256(frozen.read(name)).digest())
    except (zipfile.BadZipFile, OSError):
        return None
    return digest.hexdigest()
