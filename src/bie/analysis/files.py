"""The files that tables are made from, and whether any of them has changed; their contents are not read."""

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from bie.store.launches import PLAN
from bie.store.paths import Tree
from bie.store.provenance import source_sha256
from bie.store.record import DECIDED, FAILED, RECORD

UNSETTLED = 2.0  # seconds; the clocks of some file systems tick so coarsely
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
        start = len(f"{self.tree.root}/")
        parts = (self.plans, self.ends)
        lines = "\n".join(f"{path[start:]}\0{stamp}" for part in parts for path, stamp in part.items())
        return hashlib.sha256(lines.encode()).hexdigest()


def makers() -> str:
    """What reads the records: this code, and the packages under it."""
    return "\n".join([source_sha256(), platform.python_version(), *map(version, _MAKERS)])


def look(tree: Tree) -> Files:
    """Find the files of a study; what cannot be looked into is left out, and noted as a doubt."""
    settled = time.time_ns() - int(UNSETTLED * 1e9)
    doubts: list[OSError] = []
    plans = dict(_present(*_plans(tree, doubts), *_decided(tree)))
    ends = dict(end for seed in _seeds(tree, doubts) if (end := _end(seed)))
    return Files(tree, plans, ends, settled, bool(doubts))


def _plans(tree: Tree, doubts: list[OSError]) -> Iterator[str]:
    return (f"{launch}/{PLAN}" for launch in _folders(str(tree.launches), doubts))


def _decided(tree: Tree) -> list[str]:
    """Where seeds were stopped."""
    return sorted(map(str, tree.runs.glob(f"*/*/*/{DECIDED}")))


def _seeds(tree: Tree, doubts: list[OSError]) -> Iterator[str]:
    """Folders of the runs."""
    for dataset in _folders(str(tree.runs), doubts):
        for model in _folders(dataset, doubts):
            for config in _folders(model, doubts):
                yield from _folders(config, doubts, "seed=")


def _end(seed: str) -> tuple[str, Stamp] | None:
    """Record of a run; else its failure, which beside a record counts for nothing."""
    return next(_present(f"{seed}/{RECORD}", f"{seed}/{FAILED}"), None)


def _present(*paths: str) -> Iterator[tuple[str, Stamp]]:
    """The files that are there, with their stamps."""
    return ((path, stamp) for path in paths if (stamp := _stamp(path)))


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - 200,000 times
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _folders(folder: str, doubts: list[OSError], beginning: str = "") -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if e.name.startswith(beginning) and e.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        doubts.append(error)
        return []
