"""Download with checksum, mirror and resumption into a cache folder; or the words for doing it elsewhere."""

import math
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from bie.data.overrides import typed
from bie.errors import BadInput

_BLOCK = 2**20
_TIMEOUT = 30  # seconds without an answer; a compute node without network often just swallows packets


@dataclass(frozen=True)
class Remote:
    """A file on the network.

    Attributes
    ----------
    name
        Its name in the cache folder.
    addresses
        Where it is; the later ones are mirrors.
    checksum
        ``md5:...`` or ``sha256:...``.
    megabytes
        Its size, rounded up, for people; None where nobody told.
    """

    name: str
    addresses: tuple[str, ...]
    checksum: str
    megabytes: int | None


def cache_folder(dataset: str, chosen: Path | None) -> Path:
    """Folder of the downloads: the chosen one, or that of the data set in the user's cache folder."""
    import pooch

    return typed(chosen) if chosen else Path(pooch.os_cache("bie")) / dataset


def missing(files: Iterable[Remote], folder: Path) -> list[Remote]:
    """Files that are not in `folder`, or are there with another content than the checksum says."""
    return [file for file in files if not _is_whole(folder / file.name, file.checksum)]


def fetch(dataset: str, files: tuple[Remote, ...], folder: Path) -> None:
    """Make sure that all files are in `folder`, whole; what an earlier attempt left half done is continued.

    Raises
    ------
    BadInput
        If a file cannot be had; says which, from where, and where to put it.
    """
    wanted = missing(files, folder)
    for done, file in enumerate(wanted):
        failures = _fetch_one(file, folder)
        if failures:
            raise BadInput(_advice(dataset, wanted[done:], folder, failures))


def _fetch_one(file: Remote, folder: Path) -> list[str]:
    """Try one address after the other; return why none of them worked, [] if one did."""
    import pooch

    part = folder / f"{file.name}.part"

    def download(address: str, complete: str, _: object) -> None:
        _resume(address, part, complete)

    failures = []
    for address in file.addresses:
        try:
            pooch.retrieve(address, file.checksum, file.name, folder, downloader=download)
            return []
        except urllib.error.HTTPError as error:
            failures.append(f"{address}: the server answers {error.code} {error.reason}")
        except (OSError, HTTPException) as error:
            failures.append(f"{address}: {getattr(error, 'reason', error)}")
        except ValueError:  # pooch's word for a wrong checksum
            failures.append(f"{address}: sends something else than the file with {file.checksum}")
    return failures


def _resume(address: str, part: Path, complete: str) -> None:
    """Download by blocks into `part`, from where the last attempt stopped, then rename it to `complete`.

    pooch hands over a temporary file as `complete` and deletes it when a download breaks off, hence `part`.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "Mozilla/5.0 (compatible; bie)"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            _append(response, part, continued=response.status == 206)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to send
            raise
    part.replace(complete)


def _append(response: HTTPResponse, part: Path, continued: bool) -> None:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    announced = int(response.headers.get("Content-Length", 0))
    received = 0
    with part.open("ab" if continued else "wb") as out:
        blocks = iter(lambda: response.read(_BLOCK), b"")
        total = math.ceil(announced / _BLOCK)
        for block in track(blocks, "", total, console=console, disable=not console.is_terminal):
            received += out.write(block)
    if received < announced:  # http.client ends such an answer as if it were whole
        raise OSError(f"the connection broke off after {received:,} of {announced:,} bytes; run it again")


def _is_whole(path: Path, checksum: str) -> bool:
    import pooch

    algorithm, _, digest = checksum.partition(":")
    return path.is_file() and pooch.file_hash(str(path), alg=algorithm) == digest


def _advice(dataset: str, files: list[Remote], folder: Path, failures: list[str]) -> str:
    return "\n".join(
        [
            f"{dataset} needs {volume(files)} and the download failed. On a machine with network: "
            f"bie data fetch {dataset} --to DIR; then here: dataset.cache=DIR",
            f"or put into {folder}:",
            *(f"  {file.name}  from {' or '.join(file.addresses)}" for file in files),
            "what went wrong:",
            *(f"  {failure}" for failure in failures),
        ]
    )


def volume(files: Sequence[Remote]) -> str:
    """Number of files and their size, as in ``4 files (60 MB)``."""
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    sizes = [file.megabytes for file in files if file.megabytes is not None]
    return f"{count} ({sum(sizes)} MB)" if len(sizes) == len(files) else count
