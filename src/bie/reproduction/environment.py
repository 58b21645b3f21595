"""The environment that a record was made in: this one where it is the same, or one built in the cache."""

import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bie.errors import BadInput
from bie.reproduction.origin import Origin
from bie.store.environment import Difference, canonical_name, differences, installed, needed, pinned, release
from bie.store.launches import ENVIRONMENT

OPTIONAL = frozenset({"harmonypy", "scvi-tools", "pot", "lightning"})
"""Packages of single models and metrics, which matter where they were installed."""
LONGEST_BUILD_S = 86_400
"""Seconds after which a folder of a build belongs to nobody any more."""
_NOT_BUILT = frozenset({"bie", "pip", "wheel"})
"""bie comes from the frozen source."""


@dataclass(frozen=True)
class Recorded:
    """Packages and Python of a record.

    Attributes
    ----------
    packages
        Versions by canonical name.
    python
        Whole version.
    """

    packages: Mapping[str, str]
    python: str

    @classmethod
    def of(cls, origin: Origin) -> "Recorded":
        """As the launch noted it; the record's own provenance has the last word."""
        noted = origin.launch / ENVIRONMENT
        packages = pinned(noted.read_text()) if noted.is_file() else {}
        packages |= {canonical_name(name): text for name, text in origin.made_by.get("packages", {}).items()}
        python = str(origin.made_by.get("python", platform.python_version()))
        return cls({n: text for n, text in packages.items() if n not in _NOT_BUILT}, python)

    def differences(self) -> list[Difference]:
        """Packages that are not here as they were, and Python, as far as a minor release matters."""
        here = installed()
        matter = {n: text for n, text in self.packages.items() if n in OPTIONAL}
        optional = [
            Difference(n, text, here.get(n))
            for n, text in matter.items()
            if release(here.get(n)) != release(text)
        ]
        own = platform.python_version()
        other = [Difference("Python", self.python, own)] if _minor(own) != _minor(self.python) else []
        return [*other, *differences(self.packages, here), *optional]

    def requirements(self) -> list[str]:
        """What to install: all that was there, but tools that are here and that bie does not need.

        Of a build such as ``+cpu`` the release is asked for: the build comes from wherever pip finds it.
        """
        tools = installed().keys() - needed() - OPTIONAL
        return [f"{n}=={release(text)}" for n, text in sorted(self.packages.items()) if n not in tools]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def built(recorded: Recorded, failed: dict[str, str]) -> Path:
    """Python of an environment with the recorded packages; made by pip where the cache has none.

    Parameters
    ----------
    failed
        Why environments could not be built, by their key; none is tried twice.

    Raises
    ------
    BadInput
        There is no such Python here, or pip does not find a package.
    """
    requirements = recorded.requirements()
    minor = ".".join(_minor(recorded.python))
    key = hashlib.sha256("\n".join([minor, *requirements]).encode()).hexdigest()[:12]
    place = cache() / key
    if key in failed:
        raise BadInput(failed[key])
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear(place.parent)
        draft = place.with_name(f".{key}.{secrets.token_hex(4)}")
        try:
            _make(draft, _python(minor), requirements)
            if not place.exists():  # nobody else was quicker
                draft.replace(place)
        except subprocess.CalledProcessError as error:
            failed[key] = f"the recorded environment cannot be built: {_said(error)}. {_INSTEAD}"
            raise BadInput(failed[key]) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return place / "bin" / "python"


def _clear(folder: Path) -> None:
    """Remove what builds that were killed have left: gigabytes that nobody sees."""
    for draft in folder.glob(".*.*"):
        if time.time() - draft.stat().st_mtime > LONGEST_BUILD_S:
            shutil.rmtree(draft, ignore_errors=True)


_INSTEAD = "--here reruns in this environment and says what differs"


def cache() -> Path:
    """Folder of the environments that were built."""
    import pooch

    return Path(pooch.os_cache("bie")) / "environments"


def _python(minor: str) -> str:
    """An interpreter of this release that can make an environment: this, one on PATH, or of those of pyenv.

    A name on PATH may be a stand-in (pyenv's shims) for a version that is not chosen there, so each is tried.
    """
    if minor == ".".join(_minor(platform.python_version())):
        return sys.executable
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    folders = [*os.get_exec_path(), *map(str, sorted(kept.glob(f"{minor}.*/bin")))]
    found = filter(None, (shutil.which(f"python{minor}", path=folder) for folder in folders))
    if python := next(filter(_works, found), None):
        return python
    raise BadInput(f"the record was made with Python {minor}, and there is no python{minor} here. {_INSTEAD}")


def _works(python: str) -> bool:
    command = [python, "-c", "import ensurepip, venv"]  # Debian leaves them to a package of their own
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _make(folder: Path, python: str, requirements: list[str]) -> None:
    folder.mkdir()
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(requirements) + "\n")
    _run(python, "-m", "venv", str(folder))
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "--no-deps", "--requirement", str(listed))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def _said(error: subprocess.CalledProcessError) -> str:
    """The most telling line of what failed."""
    lines = [
        line for text in (error.stderr, error.stdout) for line in (text or "").splitlines() if line.strip()
    ]
    telling = [line for line in lines if "error" in line.lower()]
    return " ".join((telling or lines or [str(error)])[-1].split())
