"""The files that tables are made from, and whether any of them has changed; their contents are not read."""

import hashlib
import os
import platform
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain

from bie.analysis.processes import in_order
from bie.store.launches import PLAN
from bie.store.paths import Tree
from bie.store.provenance import source_sha256
from bie.store.record import DECIDED, FAILED, RECORD

AT_ONCE = 100  # grid points that one process looks into
UNSETTLED = 2.0  # seconds; the clocks of some file systems tick so coarsely
_SIGNED = 2**63 - 1  # the largest number of 64 bits with a sign: inodes have none
_MAKERS = ("numpy", "pandas", "pyarrow")

Stamp = tuple[int, int, int, int]
"""Inode, size, time of content (ns) and time of change (ns) of a file."""


@dataclass(frozen=True)
class Files:
    """Plans, records and failures of a study as they were at one moment.

    Attributes
    ----------
    plans, ends
        Stamps by path: of the launches' plans and of what stopped seeds; of records and failures, in order.
    settled
        Files with a later time of content (ns) could change once more without a later time.
    doubt
        Whether a folder could not be looked into.
    """

    tree: Tree
    plans: dict[str, Stamp]
    ends: dict[str, Stamp]
    settled: int
    doubt: bool

    def digest(self) -> str | None:
        """Hash of all stamps, the code and the packages; None where these do not tell for sure."""
        newest = max((stamp[2] for part in (self.plans, self.ends) for stamp in part.values()), default=0)
        if self.doubt or newest >= self.settled:
            return None
        lines = [makers(), str(self.tree.root), str(self.tree.root.resolve()), self.state]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def state(self) -> str:
        """Hash of all stamps alone, whatever the tree is called and whoever reads it."""
        start, found = len(f"{self.tree.root}/"), self.plans | self.ends
        digest = hashlib.sha256("\0".join(path[start:] for path in found).encode())
        digest.update(array("q", chain.from_iterable(found.values())))
        return digest.hexdigest()


def makers() -> str:
    """What reads the records: this code, and the packages under it."""
    return "\n".join([source_sha256(), platform.python_version(), *map(version, _MAKERS)])


def look(tree: Tree) -> Files:
    """Find the files of a study; what cannot be looked into is left out, and noted as a doubt."""
    settled = time.time_ns() - int(UNSETTLED * 1e9)
    doubts: list[OSError] = []
    plans = dict(_present(*_plans(tree, doubts), *_decided(tree)))
    ends: dict[str, Stamp] = {}
    configs = list(_configs(tree, doubts))
    parts = [configs[start : start + AT_ONCE] for start in range(0, len(configs), AT_ONCE)]
    for found, doubt in in_order(_look_into, parts, None if len(parts) > 1 else 1):
        ends |= found
        doubts += doubt
    return Files(tree, plans, ends, settled, bool(doubts))


def _plans(tree: Tree, doubts: list[OSError]) -> Iterator[str]:
    return (f"{launch}/{PLAN}" for launch in _folders(str(tree.launches), doubts))


def _decided(tree: Tree) -> list[str]:
    """Where seeds were stopped."""
    return sorted(map(str, tree.runs.glob(f"*/*/*/{DECIDED}")))


def _configs(tree: Tree, doubts: list[OSError]) -> Iterator[str]:
    """Folders of the grid points."""
    for dataset in _folders(str(tree.runs), doubts):
        for model in _folders(dataset, doubts):
            yield from _folders(model, doubts)


def _look_into(configs: Iterable[str]) -> tuple[dict[str, Stamp], list[OSError]]:
    """Record of each run of some grid points; else its failure, which beside a record counts for nothing."""
    ends: dict[str, Stamp] = {}
    doubts: list[OSError] = []
    for config in configs:
        try:
            folder = os.open(config, os.O_RDONLY)
        except OSError as error:
            doubts.append(error)
            continue
        try:  # names below an open folder: the system need not walk down to it 100,000 times
            names = os.listdir(folder)  # noqa: PTH208 - a path has no descriptor
            for run in sorted(name for name in names if name.startswith("seed=")):
                for end in (RECORD, FAILED):
                    if stamp := stamp_of(f"{run}/{end}", folder):
                        ends[f"{config}/{run}/{end}"] = stamp
                        break
        finally:
            os.close(folder)
    return ends, doubts


def _present(*paths: str) -> Iterator[tuple[str, Stamp]]:
    """The files that are there, with their stamps."""
    return ((path, stamp) for path in paths if (stamp := stamp_of(path)))


def stamp_of(path: str, folder: int | None = None) -> Stamp | None:
    """Stamp of a file, its path taken from an open folder if there is one; None where there is none."""
    try:
        found = os.stat(path, dir_fd=folder)
    except OSError:
        return None
    return found.st_ino & _SIGNED, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _folders(folder: str, doubts: list[OSError]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        doubts.append(error)
        return []
