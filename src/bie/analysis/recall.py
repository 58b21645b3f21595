"""Whether a report is still that of its study, so that 100,000 records are not read again for the same table.

A report is recalled only where nothing it was made from has changed: not the records, failures and plans, nor
the code and the packages, nor its own files. In any doubt it is made anew.
"""

import hashlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bie.analysis.report import FILES, Stamp, stamp
from bie.store.launches import PLAN
from bie.store.paths import Tree
from bie.store.provenance import source_sha256
from bie.store.record import FAILED, RECORD, as_json, read, write_file

NOTE = ".made_from.json"
UNSETTLED = 2.0  # seconds; the clocks of some file systems tick so coarsely
_MAKERS = ("numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """What ``bie aggregate`` said of a study: what it printed, its exit code."""

    text: str
    exit_code: int


def sources(tree: Tree) -> str | None:
    """Hash of what a report is made from, files by inode, size and times; their contents are not read.

    None where that cannot be told for sure: a folder that cannot be looked into, a file so new that it
    could change again without a later time.
    """
    makers = [source_sha256(), platform.python_version(), *map(version, _MAKERS)]
    digest = hashlib.sha256("\n".join([*makers, str(tree.root), str(tree.root.resolve())]).encode())
    newest = 0
    try:
        for path, found in _files(tree):
            newest = max(newest, found.st_mtime_ns)
            known = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            digest.update(f"\n{path}\0{known}".encode())
    except OSError:
        return None
    return digest.hexdigest() if newest < time.time_ns() - UNSETTLED * 1e9 else None


def _files(tree: Tree) -> Iterator[tuple[str, os.stat_result]]:
    """Plans, records and failures in order of their paths."""
    yield from _there(f"{launch}/{PLAN}" for launch in _folders(str(tree.launches)))
    for dataset in _folders(str(tree.runs)):
        for model in _folders(dataset):
            for config in _folders(model):
                seeds = _folders(config, "seed=")
                yield from _there(f"{seed}/{name}" for seed in seeds for name in (RECORD, FAILED))


def _there(paths: Iterator[str]) -> Iterator[tuple[str, os.stat_result]]:
    for path in paths:
        try:
            yield path, os.stat(path)  # noqa: PTH116 - 200,000 times
        except FileNotFoundError:
            continue


def _folders(folder: str, beginning: str = "") -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if e.name.startswith(beginning) and e.is_dir())
    except FileNotFoundError:
        return []


def recall(tree: Tree, made_from: str | None) -> Outcome | None:
    """Outcome of the report that is there, if it is the one that would be made from these `sources`."""
    note = read(tree.report / NOTE) or {}
    if made_from is None or note.get("sources") != made_from:
        return None
    if note["files"] != {name: _stamp(tree.report / name) for name in FILES}:
        return None
    return Outcome(**note["outcome"])


def _stamp(path: Path) -> Stamp | None:
    return stamp(path) if path.is_file() else None


def remember(tree: Tree, made_from: str, files: Mapping[str, Stamp], outcome: Outcome) -> None:
    """Note what a report was made from.

    Parameters
    ----------
    made_from
        The `sources` as they were before the first of them was read.
    files
        As `bie.analysis.report.write_report` returns them: those of another writer do not match.
    """
    note = {"sources": made_from, "files": files, "outcome": asdict(outcome)}
    write_file(tree.report / NOTE, as_json(note))
