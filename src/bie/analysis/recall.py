"""Whether a report is still that of its study, so that 100,000 records are not read again for the same table.

A report is recalled only where nothing it was made from has changed: not the records, failures and plans, nor
the code and the packages, nor its own files. In any doubt it is made anew.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bie.store.paths import Tree
from bie.store.record import as_json, read, write_file

NOTE = ".made_from.json"

Stamp = list[int]
"""Inode, size and time of change (ns) of a file: another file, or another content, has another."""


def stamp(path: Path) -> Stamp:
    """Tell a file from any that replaces it."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


@dataclass(frozen=True)
class Outcome:
    """What a verb said of a study: what it printed, its exit code."""

    text: str
    exit_code: int


def recall(tree: Tree, made_from: str | None, noted: str = NOTE) -> Outcome | None:
    """Outcome of the report that is there, if it is the one that would be made from these sources.

    Parameters
    ----------
    made_from
        `bie.analysis.files.Files.digest`, and what was asked for.
    noted
        Name of the note that `remember` left.
    """
    note = read(tree.report / noted) or {}
    if made_from is None or note.get("sources") != made_from or _changed(tree, note):
        return None
    return Outcome(**note["outcome"])


def _changed(tree: Tree, note: Mapping[str, Any]) -> list[str]:
    """Files of the report that are no longer those that were written with it."""
    return [name for name, found in note["files"].items() if found != _stamp(tree.report / name)]


def outdated(tree: Tree, state: str) -> str | None:
    """Why the report is not that of the records; None where it is.

    Parameters
    ----------
    state
        `bie.analysis.files.Files.state` of now.
    """
    note = read(tree.report / NOTE)
    if note is None:
        return "there are no tables yet"
    if note.get("state") != state:
        return "its records, failures or plans have changed since"
    changed = ", ".join(_changed(tree, note))
    return f"changed by another hand: {changed}" if changed else None


def _stamp(path: Path) -> Stamp | None:
    return stamp(path) if path.is_file() else None


def remember(
    tree: Tree,
    made_from: str | None,
    state: str,
    files: Mapping[str, Stamp],
    outcome: Outcome,
    noted: str = NOTE,
) -> None:
    """Note what a report was made from.

    Parameters
    ----------
    made_from, state
        Of the sources as they were before the first of them was read; without the former the report is
        made anew the next time.
    files
        Those of the report as they were written here (`stamp`), by name: another writer's do not match.
    """
    note = {"sources": made_from, "state": state, "files": files, "outcome": asdict(outcome)}
    write_file(tree.report / noted, as_json(note))
