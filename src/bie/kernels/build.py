"""The C sources of this package, compiled by the system's compiler and loaded with ctypes.

The library is kept in the user's cache folder under a hash of everything that makes it: sources, flags,
compiler, processor. Processes that start together each compile a draft of their own and rename it into
place, so that nobody ever sees half a file.
"""

import ctypes
import hashlib
import platform
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

FLAGS = (
    "-std=c11",
    "-O3",
    "-shared",
    "-fPIC",
    "-fopenmp-simd",  # the pragmas alone: no threads, no OpenMP library
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
"""Not ``-ffast-math``: a run that diverges must give NaN, and be seen to."""

COMPILER_TIMEOUT_S = 120
"""Seconds after which a compiler, which needs about one, is given up."""

_ADDRESS = ctypes.c_void_p
_TYPES = {"int64_t": ctypes.c_int64, "int": ctypes.c_int, "float": ctypes.c_float}
_KERNEL = re.compile(r"^int (\w+)\(([^)]*)\)\s*\{", re.MULTILINE)
"""Definition of a kernel: its name, its arguments."""


def load(compiler: list[str], version: str) -> ctypes.CDLL:
    """Library of the user's cache folder; of a passing one where that cannot be written."""
    name = f"{key(version)}.so"
    try:
        return _declared(_compiled(compiler, _cache_folder() / name))
    except OSError:  # read-only, full, or mounted such that nothing in it may be executed
        with tempfile.TemporaryDirectory() as folder:  # a loaded library no longer needs its file
            return _declared(_compiled(compiler, Path(folder) / name))


def _compiled(compiler: list[str], file: Path) -> Path:
    """Compile into `file`, unless it is there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as drafts:
            draft = Path(drafts) / file.name
            sources = [str(path) for path in _sources() if path.suffix == ".c"]
            output([*compiler, *_flags(), *sources, "-o", str(draft), "-lm"])
            draft.replace(file)
    return file


def _declared(file: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(file))
    for name, types in signatures().items():
        getattr(library, name).argtypes = types
    return library


def signatures() -> dict[str, list[Any]]:
    """Types of the arguments of each kernel, from its source."""
    text = "\n".join(path.read_text() for path in _sources() if path.suffix == ".c")
    return {name: [_type(each) for each in given.split(",")] for name, given in _KERNEL.findall(text)}


def _type(argument: str) -> Any:
    return _ADDRESS if "*" in argument else _TYPES[argument.split()[0]]


def key(version: str) -> str:
    """Hash of everything that makes the library."""
    digest = hashlib.sha256("\0".join([version, _processor(), *_flags()]).encode())
    for path in _sources():
        digest.update(b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> list[Path]:
    return sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".c", ".h"))


def _flags() -> list[str]:
    arm = platform.machine() in ("arm64", "aarch64")
    return [*FLAGS, *(["-mcpu=native"] if arm else ["-march=native", "-mprefer-vector-width=512"])]


def _processor() -> str:
    """Model and instruction sets of the processor: machines of one cluster share a home, not always these."""
    lines = _lines(Path("/proc/cpuinfo"))
    facts = sorted(
        {line for line in lines if line.startswith(("model name", "flags", "CPU part", "Features"))}
    )
    return "\n".join(facts) or f"{platform.machine()} {platform.processor()}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _cache_folder() -> Path:
    import pooch

    return Path(pooch.os_cache("bie")) / "kernels"


def output(command: list[str]) -> str:
    """Standard output of a command that ends well within `COMPILER_TIMEOUT_S`."""
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=COMPILER_TIMEOUT_S
    ).stdout


def reason(error: Exception) -> str:
    """The most telling line of a compiler's failure."""
    lines = (getattr(error, "stderr", None) or str(error)).splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else type(error).__name__)
