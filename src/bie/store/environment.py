"""The packages that are installed here, those that a lock or a launch noted, and where the two differ."""

import functools
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_FOLDER = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-py3\S*)?\.(dist|egg)-info")


class Difference(NamedTuple):
    """A package whose version here is not the one that was noted; None: it is not there at all."""

    name: str
    noted: str | None
    here: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.here or 'missing'} (not {self.noted or 'installed then'})"


def canonical_name(name: str) -> str:
    """Name of a package as all spellings of it have it.

    >>> canonical_name("Scikit_Learn")
    'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Versions by canonical name in a lock, or in the ``environment`` of a launch.

    >>> pinned("Numpy==2.1.0 --hash=sha256:00\\n# torch==1\\n")
    {'numpy': '2.1.0'}
    """
    return {canonical_name(name): version for name, version in _PINNED.findall(text)}


def installed() -> dict[str, str]:
    """Versions by canonical name of what Python finds here, by names of folders: files take long."""
    found: dict[str, str] = {}
    for place in map(Path, sys.path):
        names = (entry.name for entry in place.iterdir()) if place.is_dir() else ()
        for match in filter(None, map(_FOLDER.fullmatch, names)):
            found.setdefault(canonical_name(match["name"]), match["version"])
    return found


@functools.cache
def needed(package: str = "bie") -> frozenset[str]:
    """Canonical names of all that an installed package needs, directly or not, to run without extras."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    ahead = [(package, frozenset[str]())]
    while ahead:
        name, extras = ahead.pop()
        for requirement in map(Requirement, _requirements(name)):
            marker = requirement.marker
            acts = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})
            if acts and canonical_name(requirement.name) not in seen:
                seen.add(canonical_name(requirement.name))
                ahead.append((requirement.name, frozenset(requirement.extras)))
    return frozenset(seen)


def _requirements(name: str) -> Iterable[str]:
    try:
        return metadata.requires(name) or ()
    except metadata.PackageNotFoundError:
        return ()


def differences(noted: Mapping[str, str], here: Mapping[str, str]) -> list[Difference]:
    """Packages that a run of bie can need and whose version differs, by name.

    What follows a ``+`` in a version names a build of the same release, such as that of torch for the CPU.
    """
    matter = needed() or noted.keys()  # not known where bie runs from a folder and is not installed
    return [found for found in _all_differences(noted, here) if found.name in matter]


def changed(noted: Mapping[str, str], here: Mapping[str, str]) -> list[Difference]:
    """Those of `differences` that are installed: what is not there at all cannot change a number."""
    if all(found.here is None for found in _all_differences(noted, here)):
        return []  # the rule, which need not ask what needs what
    return [found for found in differences(noted, here) if found.here is not None]


def _all_differences(noted: Mapping[str, str], here: Mapping[str, str]) -> list[Difference]:
    pairs = [Difference(name, version, here.get(name)) for name, version in sorted(noted.items())]
    return [pair for pair in pairs if release(pair.noted) != release(pair.here)]


def release(version: str | None) -> str | None:
    """Version without its build.

    >>> release("2.13.0+cpu")
    '2.13.0'
    """
    return version and version.partition("+")[0]
