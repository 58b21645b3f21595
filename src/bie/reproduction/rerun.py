"""Start a recorded run again: its frozen source in a passing folder, a process of the chosen Python."""

import contextlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bie.errors import BadInput, RunFailed
from bie.reproduction.origin import Origin
from bie.store.launches import SOURCE
from bie.store.record import FAILED, RECORD, read

ENTRY = Path("src", "bie", "execution", "again.py")
"""What of a frozen source does a run again."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def rerun(origin: Origin, python: Path) -> dict[str, Any]:
    """Record that comes of doing a run again; nothing is written into its study.

    Parameters
    ----------
    python
        Interpreter of the environment to run in.

    Raises
    ------
    RunFailed
        The run did not end in a record this time.
    BadInput
        Its cells are gone, and their file is too or is another one; or its source is older than `ENTRY`.
    """
    with tempfile.TemporaryDirectory(prefix="bie-reproduce-") as passing:
        folder, source = Path(passing, "run"), Path(passing, "source")
        _unpack(origin.launch / SOURCE, source)
        command = [str(python), "-m", "bie.execution.again", *_arguments(origin, folder)]
        environment = _environment(origin.made_by, source)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        record = read(folder / RECORD)
        if record is None:
            failure = read(folder / FAILED) or {}
            lines = (done.stderr or done.stdout).strip().splitlines()
            said = failure.get("message") or (lines[-1] if lines else f"it ended with {done.returncode}")
            if done.returncode == 2 and not failure:  # as every verb says that its input is not to be had
                raise BadInput(f"{origin.launch}: {said}")
            raise RunFailed(str(failure.get("cause", "error")), str(said))
        return record


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as frozen:
        frozen.extractall(folder)  # names that lead out of the folder are made harmless by zipfile
    if not (folder / ENTRY).exists():
        raise BadInput(
            f"{archive}: this source is older than bie reproduce and cannot do one run again; "
            f"unpack it and type its command, which is in {archive.with_name('argv')}"
        )


def _arguments(origin: Origin, folder: Path) -> Iterator[str]:
    record, device = origin.record, origin.made_by.get("device") or {}
    yield from (str(origin.launch.resolve()), str(record["config_id"]), str(record["seed"]), str(folder))
    yield from (str(device.get("type", "cpu")), str(device.get("matmul_precision", "float32")))


def _environment(made_by: Mapping[str, Any], source: Path) -> dict[str, str]:
    """Variables of the process: frozen source, one thread, kernels only where the record was made by such."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    environment |= {"PYTHONPATH": str(source / "src"), "PYTHONSAFEPATH": "1"}
    with contextlib.suppress(KeyError):
        del environment["BIE_KERNELS"]
    asked = (made_by.get("environment") or {}).get("BIE_KERNELS")
    plain = str(made_by.get("kernels", "")).startswith("torch")
    return {**environment, "BIE_KERNELS": "torch"} if asked or plain else environment
