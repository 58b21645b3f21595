"""Python, the packages, and torch against the driver of a GPU."""

import ctypes
import platform
import subprocess
import sys

from bie import devices
from bie.diagnosis.check import Row, State
from bie.store.environment import Difference, differences, installed, needed, pinned
from bie.store.provenance import lock_file

TESTED = ((3, 11), (3, 13))
"""First and last release of Python that bie is tested with."""
ASKS_FOR_S = 10.0
"""Seconds that nvidia-smi is waited for."""
FEW_MIB = 2_000
"""Free memory of a GPU, in MiB, below which a run of a few thousand cells may not fit beside CUDA itself."""


def python() -> Row:
    """Whether bie is tested with this Python."""
    version, (first, last) = platform.python_version(), TESTED
    here = f"{version}, {sys.executable}"
    if first <= sys.version_info[:2] <= last:
        return Row("Python", "ok", here)
    tested = " to ".join(f"{major}.{minor}" for major, minor in TESTED)
    state: State = "problem" if sys.version_info[:2] < first else "warning"
    return Row("Python", state, here, f"bie is tested with {tested}: PYTHON=python3.12 scripts/setup")


def lock() -> Row:
    """Whether the installed packages are those of the lock."""
    path = lock_file()
    if path is None:
        return Row("lock file", "warning", "none beside this bie", "Install bie from its repository or wheel")
    if not needed():  # with nothing to compare, nothing would differ
        said = "bie is not installed here, only found by PYTHONPATH: which packages it needs is not known"
        return Row("lock file", "warning", said, "python -m pip install --no-deps --editable .")
    return of_differences(path.name, differences(pinned(path.read_text()), installed()))


def of_differences(lock_name: str, found: list[Difference]) -> Row:
    """What a difference means: other digits, or a package that is not there."""
    if not found:
        return Row("lock file", "ok", f"packages are as in {lock_name}")
    said = f"{len(found)} not as in {lock_name}: {', '.join(map(str, found))}"
    missing = [difference for difference in found if difference.here is None]
    remedy = "scripts/setup makes an environment as the lock says"
    return Row("lock file", "problem" if missing else "warning", said, remedy)


def torch() -> Row:
    """Whether torch loads, and its CUDA goes with the driver."""
    try:
        import torch
    except Exception as error:  # a library of the system that is missing is an OSError
        said = " ".join(str(error).split())
        return Row("torch", "problem", f"does not load: {said}", "Install it again: scripts/setup")
    return against_driver(torch.__version__, torch.version.cuda, _driver_cuda(), devices.gpus())


def against_driver(version: str, built_for: str | None, driver: tuple[int, int] | None, n_gpus: int) -> Row:
    """Row of a build of torch.

    Parameters
    ----------
    version, built_for
        Of torch, and of the CUDA that it was built for; None: for the CPU alone.
    driver
        Newest CUDA that the driver of the machine runs; None: there is none.
    n_gpus
        GPUs that a process could use.
    """
    if built_for is None and n_gpus == 0:
        return Row("torch", "ok", f"{version}, for the CPU; no GPU is visible")
    if built_for is None:
        remedy = "To use it install torch for CUDA: https://pytorch.org"
        return Row("torch", "warning", f"{version}, for the CPU, on a machine with a GPU", remedy)
    if driver is None or n_gpus == 0:
        return Row("torch", "ok", f"{version}, for CUDA {built_for}; no GPU is visible: runs are on the CPU")
    shown = f"{version}, for CUDA {built_for}; the driver runs CUDA {driver[0]}.{driver[1]}"
    if int(built_for.split(".")[0]) > driver[0]:
        remedy = f"A newer driver, or torch for CUDA {driver[0]}: https://pytorch.org. Until then device=cpu"
        return Row("torch", "problem", shown, remedy)
    return Row("torch", "ok", shown)


def _driver_cuda() -> tuple[int, int] | None:
    """Newest CUDA that the driver runs."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int(0)
    if driver.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None
    return number.value // 1000, number.value % 1000 // 10


def gpu() -> Row:
    """Memory of the GPUs, by ``nvidia-smi``, and a first product on one where torch can."""
    if devices.gpus() == 0:
        return Row("GPU", "ok", "none is visible; runs are on the CPU")
    query = ["nvidia-smi", "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=ASKS_FOR_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Row("GPU", "warning", f"nvidia-smi does not tell: {error}", "See to the driver")
    row = of_memory(done.stdout)
    return _worked(row) if devices.torch_cuda() else row


def of_memory(text: str) -> Row:
    """Row of what ``nvidia-smi`` said: a line per GPU of name, free and total MiB.

    >>> of_memory("A100, 40000, 40960").found
    'A100, 40,000 of 40,960 MiB free'
    """
    lines = [[part.strip() for part in line.split(",")] for line in text.splitlines() if line.strip()]
    shown = "; ".join(f"{name}, {int(free):,} of {int(total):,} MiB free" for name, free, total in lines)
    if all(int(free) < FEW_MIB for _, free, _ in lines):
        return Row("GPU", "warning", shown, "Somebody else has its memory: wait, or take another")
    return Row("GPU", "ok", shown)


def _worked(row: Row) -> Row:
    import torch

    try:
        torch.ones(2, 2, device="cuda").mm(torch.ones(2, 2, device="cuda")).sum().item()
    except RuntimeError as error:  # such as: no kernel image is available for this device
        said = " ".join(str(error).split())
        remedy = "A build of torch for this GPU: https://pytorch.org. Until then device=cpu"
        return Row("GPU", "problem", f"{row.found}; a product on it fails: {said}", remedy)
    return row
