"""What the folder of the results can do: room, inodes, and the operations that keep records whole."""

import contextlib
import errno
import fcntl
import mmap
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bie.diagnosis.check import Row, State
from bie.store.record import write_file

LITTLE, NEARLY_NONE = 2e9, 1e8
"""Bytes left below which a sweep may fill the disk, and below which it will."""
FEW_INODES = 10_000
"""A run makes about five files and folders."""
SKEW_S = 5.0
"""Seconds between the clocks of this machine and of the file server that confuse whoever reads times."""


def room(folder: Path) -> Row:
    """Space and inodes left for the results."""
    place = nearest(folder)
    stat = os.statvfs(place)
    inodes = stat.f_favail if stat.f_files else None
    return of_room(str(place), stat.f_bavail * stat.f_frsize, inodes)


def of_room(place: str, n_bytes: float, inodes: int | None) -> Row:
    """Row of what is left at a place; `inodes` is None where the filesystem does not count them."""
    counted = "" if inodes is None else f", {inodes:,} inodes"
    found = f"{place}: {n_bytes / 1e9:.1f} GB{counted} left"
    few = inodes is not None and inodes < FEW_INODES
    if n_bytes >= LITTLE and not few:
        return Row("disk", "ok", found)
    state: State = "problem" if n_bytes < NEARLY_NONE or inodes == 0 else "warning"
    return Row("disk", state, found, "Make room, or write elsewhere: outputs=DIR (here: --outputs DIR)")


def nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def abilities(folder: Path) -> Row:
    """Whether files can be renamed, linked, mapped and locked there, and what time the server has.

    A folder is made for it and taken away again.
    """
    place = nearest(folder)
    try:
        with _passing_folder(place) as probe:
            failed = [name for name, able in _ABILITIES.items() if not _can(able, probe)]
            skew = _skew(probe)
    except OSError as error:
        remedy = "Write elsewhere: outputs=DIR (here: --outputs DIR)"
        return Row("filesystem", "problem", f"{place}: cannot be written to: {error.strerror}", remedy)
    return of_abilities(str(place), failed, skew)


def of_abilities(place: str, failed: list[str], skew_s: float) -> Row:
    """Row of what cannot be done at a place, and of how far its clock is ahead, in seconds."""
    can = ", ".join(name for name in _ABILITIES if name not in failed)
    found = f"{place}: {can or 'nothing'}; clock {skew_s:+.1f} s"
    if failed:
        found += f"; not: {', '.join(failed)}"
    if broken := [name for name in failed if name in _NEEDED]:
        remedy = f"{' and '.join(broken)} keep records whole: write to another filesystem, outputs=DIR"
        return Row("filesystem", "problem", found, remedy)
    remedies = [_REMEDIES[name] for name in failed]
    if abs(skew_s) > SKEW_S:
        remedies.append("The clocks of this machine and of the file server differ: have NTP set both")
    return Row("filesystem", "warning" if remedies else "ok", found, "; ".join(remedies))


@contextlib.contextmanager
def _passing_folder(place: Path) -> Iterator[Path]:
    probe = place / f".bie-doctor-{secrets.token_hex(4)}"
    probe.mkdir()
    try:
        yield probe
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _can(able: Callable[[Path], bool], probe: Path) -> bool:
    try:
        return able(probe)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # says nothing of what the filesystem can do
            raise
        return False


def _renames(probe: Path) -> bool:
    """A record appears whole, in the place of what was there."""
    for content in (b"1", b"2"):
        write_file(probe / "renamed", content)
    return (probe / "renamed").read_bytes() == b"2"


def _links(probe: Path) -> bool:
    """Of two processes one gets a run: the second link under a name fails."""
    write_file(probe / "linked", b"1")
    (probe / "claim").hardlink_to(probe / "linked")
    try:
        (probe / "claim").hardlink_to(probe / "linked")
    except FileExistsError:
        return True
    return False


def _maps(probe: Path) -> bool:
    """Workers share the pages of prepared cells."""
    write_file(probe / "mapped", b"cells")
    with (
        (probe / "mapped").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
    ):
        return pages[:] == b"cells"


def _locks(probe: Path) -> bool:
    """HDF5 locks the .h5ad that it reads."""
    with (probe / "locked").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


_ABILITIES = {"rename": _renames, "hard links": _links, "mmap": _maps, "locks": _locks}
_NEEDED = ("rename", "mmap")
_REMEDIES = {
    "hard links": "Two launches at once may do a run twice without them: start one after the other",
    "locks": "To read .h5ad here: export HDF5_USE_FILE_LOCKING=FALSE",
}


def _skew(probe: Path) -> float:
    """Seconds that the file server's clock is ahead of ours."""
    before = time.time()
    write_file(probe / "now", b"")
    after = time.time()
    server = (probe / "now").stat().st_mtime
    return server - after if server > after else min(server - before, 0.0)
