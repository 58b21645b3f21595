"""Which devices there are; without torch, which takes seconds to load, where only the launch asks."""

import ctypes
import functools
import os
import runpy
from importlib.util import find_spec
from pathlib import Path

from bie.errors import BadInput

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of CPU time in so many of wall time: of a container, where there is a limit."""


def cores() -> int:
    """Cores that this process may use: by its affinity, its container and its Slurm task."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _QUOTA.read_text().partition(" ") if _QUOTA.is_file() else ("max", "", "")
    allowed = there if quota == "max" else max(1, int(quota) // int(period))
    return min(there, allowed, int(os.environ.get("SLURM_CPUS_PER_TASK") or there))


@functools.cache
def gpus() -> int:
    """Number of NVIDIA GPUs that a process started here could use: 0 without driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0


@functools.cache
def torch_cuda() -> str | None:
    """Version of CUDA that torch was built for; None for a build without."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version: str | None = runpy.run_path(str(Path(spec.origin).with_name("version.py"))).get("cuda")
    return version


def has_cuda() -> bool:
    """Whether training can be on a GPU."""
    return torch_cuda() is not None and gpus() > 0


def check_matmul_precision(precision: str, device: str) -> None:
    """Raise `BadInput` if matrices are to be multiplied as the device cannot."""
    if precision == "tf32" and device == "cpu":
        raise BadInput(
            "matmul_precision=tf32: only a GPU multiplies so. "
            "Use matmul_precision=float32, or train on one: device=cuda"
        )


def check(device: str) -> None:
    """Raise `BadInput` if ``device=cuda`` is asked for where there is none."""
    if device != "cuda":
        return
    if torch_cuda() is None:
        raise BadInput(
            "device=cuda: this torch was built without CUDA. Install one with it (https://pytorch.org), "
            "or use device=cpu"
        )
    if gpus() == 0:
        raise BadInput(
            "device=cuda: no GPU is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES). Use device=cpu, or send "
            "the runs to where one is: hydra/launcher=submitit_slurm hydra.launcher.gpus_per_node=1"
        )


def chosen(device: str) -> str:
    """``cpu`` or ``cuda`` for what was asked for.

    Raises
    ------
    BadInput
        ``cuda`` where there is none.
    """
    check(device)
    return ("cuda" if has_cuda() else "cpu") if device == "auto" else device
