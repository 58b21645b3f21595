"""What benchmarks must not do; they are run by hand."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESTORED = """
import os
from benchmarks import packs

packs.fit = lambda *_: []
packs.trained(packs.Place("cpu", "", None), None, [], kernels="torch")
print(os.environ.get("BIE_KERNELS"))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "BIE_KERNELS"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)


def test_a_pack_as_large_as_fits_needs_a_gpu() -> None:
    refused = python("-m", "benchmarks.gpu", "--device", "cpu", "--sizes", "1,auto")
    assert refused.returncode == 2
    assert "--sizes auto asks a GPU for its memory; with --device cpu give numbers" in refused.stderr


def test_the_environment_is_left_as_it_was() -> None:
    done = python("-c", RESTORED)
    assert done.stdout == "None\n", done.stderr
