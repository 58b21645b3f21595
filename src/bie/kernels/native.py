"""The C sources of this package, compiled at first use by the system's compiler and loaded with ctypes.

The library is kept in the user's cache folder under a hash of everything that makes it: sources, flags,
compiler, processor. Processes that start together each compile a draft of their own and rename it into
place, so that nobody ever sees half a file.
"""

import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bie.errors import BadInput

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

_PATIENCE = 120  # seconds for a compiler that should need one
_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_int64
_TYPES = {"int64_t": _SIZE, "int": ctypes.c_int, "float": ctypes.c_float}
_NUMBERS = frozenset((int, float, bool))
_KERNEL = re.compile(r"^int (\w+)\(([^)]*)\)\s*\{", re.MULTILINE)
"""Definition of a kernel: its name, its arguments."""


Bound = Callable[..., None]
"""A kernel with its first arguments; see `bind`."""


class Kernels(NamedTuple):
    """The loaded library, or None, and one line that says which path is taken and why."""

    library: ctypes.CDLL | None
    status: str


def is_active() -> bool:
    """Whether the compiled kernels are there and wanted."""
    return kernels().library is not None


def are_wanted() -> bool:
    """Whether kernels are wanted, these or others: ``BIE_KERNELS=torch`` in the environment asks for none.

    Raises
    ------
    BadInput
        ``BIE_KERNELS`` has another value.
    """
    wish = os.environ.get("BIE_KERNELS", "")
    if wish not in ("", "torch"):
        raise BadInput(f"BIE_KERNELS={wish} in the environment: the only value is torch; or leave it unset")
    return not wish


def status() -> str:
    """Which path is taken and why, in one line; the plain one is about three times as slow."""
    return kernels().status


def call(name: str, *arguments: Any) -> None:
    """Call a kernel: numbers and None go as they are, of tensors, lists and structures the addresses.

    Raises
    ------
    TypeError
        A tensor has numbers of other than four bytes, or is not on the CPU.
    MemoryError
        The kernel found no memory to work in.
    """
    if getattr(kernels().library, name)(*map(_converted, arguments)):
        raise MemoryError(f"kernel {name}")


def bind(name: str, *first: Any) -> Bound:
    """A kernel with its first arguments, converted once and for all; it is called with the rest as by `call`.

    Tensors among the first must stay where they are in memory; they live as long as what is returned.
    """
    kernel = functools.partial(getattr(kernels().library, name), *map(_converted, first))

    def bound(*rest: Any, of: tuple[Any, ...] = first) -> None:
        if kernel(*map(_converted, rest)):
            raise MemoryError(f"kernel {name}")

    return bound


def is_float32_cpu(tensor: Any) -> bool:
    """Whether the kernels take it: single precision on the CPU."""
    return bool(tensor.itemsize == 4 and tensor.is_cpu and tensor.is_floating_point())


def check_contiguous(tensor: Any) -> Any:
    """Hand the tensor on if its entries lie one after the other, as kernels read them, else `ValueError`."""
    if not tensor.is_contiguous():
        raise ValueError(f"strides {tuple(tensor.stride())} of a tensor {tuple(tensor.shape)}")
    return tensor


def sizes(numbers: Sequence[int]) -> Any:
    """Array of int64 as an argument of `call`."""
    return (_SIZE * len(numbers))(*numbers)


def codes(tensors: Iterable[Any]) -> Any:
    """Addresses of vectors of int64 as an argument of `call`."""
    addresses = list[int]()
    for tensor in tensors:
        if tensor.itemsize != 8 or tensor.is_floating_point() or not tensor.is_cpu:
            raise TypeError(f"codes are int64 on the CPU, not {tensor.dtype} on {tensor.device}")
        addresses.append(check_contiguous(tensor).data_ptr())
    return (_ADDRESS * len(addresses))(*addresses)


def _converted(argument: Any) -> Any:
    if argument is None or argument.__class__ in _NUMBERS:
        return argument
    if isinstance(argument, list):
        return (_ADDRESS * len(argument))(*(None if each is None else _address(each) for each in argument))
    if isinstance(argument, ctypes.Structure):
        return ctypes.byref(argument)
    return argument if isinstance(argument, ctypes.Array) else _address(argument)


def _address(tensor: Any) -> int:
    if tensor.itemsize != 4 or not tensor.is_cpu:
        found = f"{tensor.dtype} on {tensor.device}"
        raise TypeError(f"a compiled kernel takes single precision on the CPU, not {found}; see BIE_KERNELS")
    address: int = tensor.data_ptr()
    return address


@functools.cache
def kernels() -> Kernels:
    """Compile the kernels, or find them compiled, and load them; once per process."""
    if not are_wanted():
        return Kernels(None, "torch, as BIE_KERNELS=torch asks for")
    said = os.environ.get("CC", "").strip()
    program, *options = _words(said or "cc")
    compiler = shutil.which(program)
    if compiler is None:
        missing = f"CC={said} in the environment names no program" if said else "there is no C compiler"
        return Kernels(None, f"torch, since {missing}; install gcc or clang, or name one in CC")
    try:
        return _made_by([compiler, *options])
    except (OSError, subprocess.SubprocessError) as error:
        return Kernels(
            None, f"torch, since {Path(compiler).name} failed to compile the kernels: {_reason(error)}"
        )


def _words(said: str) -> list[str]:
    """A command as a shell would read it."""
    try:
        return shlex.split(said)
    except ValueError:  # a quotation without end: the name of nothing
        return [said]


def _made_by(compiler: list[str]) -> Kernels:
    """By a command with its options, which are part of what makes the library."""
    version = " ".join([_output([*compiler, "--version"]).splitlines()[0], *compiler[1:]])
    return Kernels(_load(compiler, version), f"compiled by {version}")


def _load(compiler: list[str], version: str) -> ctypes.CDLL:
    """Library of the user's cache folder; of a passing one where that cannot be written."""
    name = f"{_key(version)}.so"
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
            _output([*compiler, *_flags(), *sources, "-o", str(draft), "-lm"])
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


def _key(version: str) -> str:
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


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE).stdout


def _reason(error: Exception) -> str:
    """Its most telling line."""
    lines = (getattr(error, "stderr", None) or str(error)).splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else type(error).__name__)
