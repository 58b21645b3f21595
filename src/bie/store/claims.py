"""Who is at work on a run: ``claim.json`` in its folder, which never outlives its holder for long.

Any number of processes on any number of machines may want the same run; of those that share a filesystem
one gets it. There are no locks, which a dead machine could hold for ever. A hard link tests and creates in
one step, even on NFS; the holder renews the file's time every `HEARTBEAT` seconds; and whoever finds it
`STALE` seconds old, or finds that its process is gone, may succeed it.

A process that sleeps longer than that (a closed laptop) can wake up beside its successor. It finds its claim
`Claim.lost` at its next heartbeat; until then both compute the same run, whose record only one can publish.
"""

import contextlib
import hashlib
import json
import os
import secrets
import threading
from dataclasses import asdict, fields
from datetime import UTC, datetime
from errno import EMLINK, ENOSYS, EOPNOTSUPP, EPERM
from pathlib import Path
from typing import Any, NamedTuple

from bie.store.owner import Owner, runs
from bie.store.record import write_part

CLAIM = "claim.json"
HEARTBEAT = 15.0
"""Seconds between two signs of life."""
STALE = 180.0
"""Seconds without one after which a claim is dead: NFS clients may show a time that is a minute old."""

_NO_HARD_LINKS = (EPERM, EOPNOTSUPP, ENOSYS, EMLINK)


FIELDS = (*(field.name for field in fields(Owner)), "since", "token")
"""What a claim says: its owner, the time it was made (UTC), and a number that makes it unlike any other."""


class Claim:
    """A run that this process holds; from `take`. A context manager that releases at its end.

    Attributes
    ----------
    lost
        Whether somebody has succeeded this claim; known a heartbeat later at most.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content
        self.lost = False
        self._over = threading.Event()
        threading.Thread(target=self._live, name=f"claim {path}", daemon=True).start()

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the run back; what stands there by now may be somebody else's and stays."""
        self._over.set()
        self.beat()
        if not self.lost:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Renew the claim, or find it lost: somebody else's, or gone with a successor that has ended."""
        with contextlib.suppress(OSError):  # a server that does not answer now may do so the next time
            found = _look(self._path)
            self.lost = found is None or found.content != self._content
            if not self.lost:
                os.utime(self._path)  # no time given: the file server takes its own

    def _live(self) -> None:
        while not self._over.wait(HEARTBEAT):
            self.beat()


def take(folder: Path, owner: Owner) -> Claim | None:
    """Claim a run, unless somebody alive has it.

    Parameters
    ----------
    folder
        Of the run; made where it is missing.
    owner
        Who claims, `Owner.here`.

    Returns
    -------
    Claim | None
        None where a living claim stands. Of those who ask at once, one gets it.

    Raises
    ------
    OSError
        The folder cannot be written: full, read-only, gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claim = {**asdict(owner), "since": datetime.now(UTC).isoformat(), "token": secrets.token_hex(8)}
    content = (json.dumps(claim) + "\n").encode()
    draft = write_part(folder / CLAIM, content)
    try:
        now = draft.stat().st_mtime
        return Claim(folder / CLAIM, content) if _seize(folder / CLAIM, draft, now) else None
    finally:
        draft.unlink(missing_ok=True)


def living(folder: Path) -> dict[str, Any] | None:
    """What the claim of a run says, all `FIELDS` of it; None without a claim, or with a dead one."""
    found = _look(folder / CLAIM)
    if found is None or not _alive(found, _server_time(folder)):
        return None
    return {**dict.fromkeys(FIELDS), **found.claim}


class _Found(NamedTuple):
    """A claim as it lies on disk."""

    content: bytes
    mtime: float

    @property
    def claim(self) -> dict[str, Any]:
        try:
            value = json.loads(self.content)
        except ValueError:
            return {}  # still being written, where there are no hard links
        return value if isinstance(value, dict) else {}


def _look(path: Path) -> _Found | None:
    """Content and time together; opening makes an NFS client ask the server."""
    try:
        with path.open("rb") as file:
            return _Found(file.read(), os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        return None


def _seize(path: Path, draft: Path, now: float) -> bool:
    """Put the draft at `path`, unless somebody alive is there.

    The right to succeed a dead holder is a claim too, under a name that is the holder's own: of those who
    find it dead one gets that right and moves it to `path`. If that one dies before, it is itself succeeded.
    """
    while not _create(path, draft):
        holder = _look(path)
        if holder is None:
            continue  # released meanwhile
        if _alive(holder, now):
            return False
        right = path.with_name(f".{CLAIM}.{hashlib.sha256(holder.content).hexdigest()[:16]}")
        if not _seize(right, draft, now):
            return False
        if _look(path) == holder:
            right.replace(path)
            return True
        right.unlink(missing_ok=True)  # succeeded or awake by now: look again
    return True


def _create(path: Path, draft: Path) -> bool:
    """Make `path` a file with the draft's content, unless there is one."""
    content = draft.read_bytes()
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        found = _look(path)
        return found is not None and found.content == content  # NFS repeats a step whose answer got lost
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _create_alone(path, content)
    return True


def _create_alone(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _alive(found: _Found, now: float) -> bool:
    if abs(now - found.mtime) > STALE:
        return False
    claim = found.claim
    there, pid = tuple(claim.get(name) for name in ("host", "boot", "pid_namespace")), claim.get("pid")
    return there != Owner.here().place or not isinstance(pid, int) or runs(pid)


def _server_time(folder: Path) -> float:
    """The file server's clock; the local one where nothing can be written."""
    try:
        touched = write_part(folder / CLAIM, b"")
    except OSError:
        return datetime.now(UTC).timestamp()
    try:
        return touched.stat().st_mtime
    finally:
        touched.unlink(missing_ok=True)
