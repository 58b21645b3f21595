"""Where a number comes from: code, packages, machine. Never the whole environment."""

import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bie import __version__, devices, kernels

_PACKAGE = Path(__file__).resolve().parents[1]

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "anndata",
    "scanpy",
    "hydra-core",
    "harmonypy",
    "scvi-tools",
)
ENVIRONMENT = (
    "BIE_KERNELS",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "SLURM_CLUSTER_NAME",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
    "SLURM_RESTART_COUNT",
)
FROZEN = "commit.json"
"""Name, in the frozen source of a launch, of the note on the commit that it was taken from."""

LOCKS = ("requirements.lock", "requirements-3.12.lock")
"""For Python 3.11, and for later ones."""

SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")


@functools.cache
def provenance() -> dict[str, Any]:
    """Facts about the code and the machine, collected once per process."""
    return {
        **git(),
        "source_sha256": source_sha256(),
        "lock_sha256": _lock_sha256(),
        "packages": {"bie": __version__, **{name: v for name in PACKAGES if (v := _version(name))}},
        "kernels": kernels.status(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "device": {"type": "cpu", "name": _cpu(), "threads": 1},
        "machine": {"cores": devices.cores(), "memory_mib": _memory_mib()},
        "numerics": _numerics(),
        "slurm": {key: os.environ[key] for key in SLURM if key in os.environ} or None,
        "environment": {key: os.environ[key] for key in ENVIRONMENT if key in os.environ},
    }


def _memory_mib() -> int | None:
    """Memory of the machine, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError):
        return None


def _numerics() -> dict[str, Any] | None:
    """What decides on the last digits beside versions; None in a process without torch, which makes none.

    The instructions that torch and the BLAS have chosen for this processor, and the flags by which torch
    takes a faster operation or one that always gives the same.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    import threadpoolctl

    found = threadpoolctl.threadpool_info()
    named = ("internal_api", "version", "architecture", "num_threads")
    return {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threadpools": sorted(" ".join(str(pool[key]) for key in named if pool.get(key)) for pool in found),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def source_files() -> list[tuple[str, Path]]:
    """Code and configuration that make the numbers: name in a snapshot, file on disk.

    All locks are among them, so that one source has one hash, whichever interpreter runs it.
    """
    conf = configuration_folder()
    files = (path for path in _PACKAGE.rglob("*.*") if path.suffix in (".py", ".c", ".h"))
    code = [(f"src/bie/{path.relative_to(_PACKAGE)}", path) for path in files]
    yaml = [(f"conf/{path.relative_to(conf)}", path) for path in conf.rglob("*.yaml")]
    locks = [(name, path) for name in LOCKS if (path := _beside(name))]
    return sorted(code + yaml + locks)


@functools.cache
def source_sha256() -> str:
    """Hash of the code and the configuration as they are on disk, committed or not."""
    digest = hashlib.sha256()
    for name, path in source_files():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def configuration_folder() -> Path:
    """``conf/``: inside an installed package, beside ``src/`` in a checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "conf"


@functools.cache
def installed_packages() -> tuple[str, ...]:
    """Every distribution of this environment as ``name==version``."""
    described = (each.metadata for each in metadata.distributions())  # parsed anew each time it is asked for
    return tuple(sorted({f"{each['Name']}=={each['Version']}" for each in described}, key=str.lower))


def lock_file() -> Path | None:
    """The lock that serves this interpreter; see ``scripts/lockfile``."""
    return _beside(LOCKS[sys.version_info >= (3, 12)])


def _beside(name: str) -> Path | None:
    """A file that lies beside ``src/`` in a checkout, and inside an installed package."""
    candidates = (_PACKAGE / name, _PACKAGE.parents[1] / name)
    return next((path for path in candidates if path.is_file()), None)


def _lock_sha256() -> str | None:
    path = lock_file()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def git() -> dict[str, str | None]:
    """Commit, and hash of what differs from it; both None where the package is not in a checkout.

    The frozen source of a launch is in none, but carries a note of the one that it was taken from.
    """
    note = _PACKAGE.parents[1] / FROZEN
    if note.is_file():
        frozen: dict[str, str | None] = json.loads(note.read_text())
        return frozen
    if _run_git("ls-files", "--error-unmatch", str(_PACKAGE / "__init__.py")) is None:
        return {"git_commit": None, "git_dirty_sha256": None}  # installed, perhaps inside another project
    diff = uncommitted()
    dirty = hashlib.sha256(diff.encode()).hexdigest() if diff else None
    return {"git_commit": (_run_git("rev-parse", "HEAD") or "").strip() or None, "git_dirty_sha256": dirty}


def uncommitted() -> str | None:
    """What code and configuration differ in from the commit, as a patch; None outside a checkout."""
    return _run_git("diff", "HEAD", "--", str(_PACKAGE), str(configuration_folder()))


def _run_git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=_PACKAGE, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        return names[0] if names else platform.machine()
    return platform.processor() or platform.machine()
