"""The compiled kernels: whether there are any, and how they are called.

`bie.kernels.build` makes them of the C sources of this package at first use.
"""

import ctypes
import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bie.errors import BadInput
from bie.kernels.build import load, output, reason

_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_int64
_NUMBERS = frozenset((int, float, bool))

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


def takes(rows_nd: Any) -> bool:
    """Whether there are kernels, and they take rows such as these: ``(n, d)``, not those of a pack."""
    return is_active() and rows_nd.ndim == 2 and is_float32_cpu(rows_nd)


def check_contiguous(tensor: Any) -> Any:
    """Hand the tensor on if its entries lie one after the other, as kernels read them, else `ValueError`."""
    if not tensor.is_contiguous():
        raise ValueError(f"strides {tuple(tensor.stride())} of a tensor {tuple(tensor.shape)}")
    return tensor


def sizes(numbers: Sequence[int]) -> Any:
    """Array of int64 as an argument of `call`."""
    return (_SIZE * len(numbers))(*numbers)


def codes(vector: Any) -> int:
    """Address of a vector of int64 as an argument of `call`."""
    if vector.itemsize != 8 or vector.is_floating_point() or not vector.is_cpu:
        raise TypeError(f"codes are int64 on the CPU, not {vector.dtype} on {vector.device}")
    address: int = check_contiguous(vector).data_ptr()
    return address


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
            None, f"torch, since {Path(compiler).name} failed to compile the kernels: {reason(error)}"
        )


def _words(said: str) -> list[str]:
    """A command as a shell would read it."""
    try:
        return shlex.split(said)
    except ValueError:  # a quotation without end: the name of nothing
        return [said]


def _made_by(compiler: list[str]) -> Kernels:
    """By a command with its options, which are part of what makes the library."""
    version = " ".join([output([*compiler, "--version"]).splitlines()[0], *compiler[1:]])
    return Kernels(load(compiler, version), f"compiled by {version}")
