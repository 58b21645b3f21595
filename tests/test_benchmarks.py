"""What benchmarks must not do; they are run by hand."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.referee import chosen, score, table

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


def test_the_rule_of_the_referee_takes_the_lowest_of_equal_scales() -> None:
    good = {"be_ratio": 1.2, "ari": 0.6}
    assert score(good) == score({"be_ratio": 1.0, "ari": 0.6}) == 0.8
    scores = {100.0: [score(good)] * 2, 10.0: [0.7, 0.9], 1000.0: [0.9, 0.5]}
    assert chosen(scores) == 10.0
    assert table({"scvi_hsic": scores})[-1] == "| scvi_hsic | **0.800** | 0.800 | 0.700 |"
