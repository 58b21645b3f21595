"""``bie logs --failed``: all failures by cause."""

from typing import Any

import pytest

from bie.logs import main

Printed = pytest.CaptureFixture[str]


def test_failures_that_differ_in_numbers_alone_are_one_cause(
    disk: Any, point: Any, slurm: Any, capsys: Printed
):
    disk.on_slurm([(point, seed, seed) for seed in range(9)], (1, 0, 6), (21, 6, 2), (1, 8, 1))
    for seed in range(3):
        disk.failure(point, seed, "nan", f"critic overflow at epoch {seed}, loss 1.{seed}e+30")
    for seed in (3, 4):
        disk.failure(point, seed, "error", f"FileNotFoundError: /scratch/u{seed}/cells.npy (seed={seed})")
    assert main(["--failed", str(disk.root)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "7 failures = 3 causes"
    assert "nan  3 runs: critic overflow at epoch 0, loss 1.0e+30" in out
    assert "zinb scvi_mine: 3, seeds 0, 1, 2" in out
    assert f"bie logs {disk.root}/runs/zinb/scvi_mine/{point.id[:12]}/seed=0000" in out
    assert "timeout  2 runs: task 21_0 ended (TIMEOUT)" in out
    assert "2 more runs are missing" in out
    assert f"bie retry {disk.root} --cause nan,error,timeout" in out


def test_no_failures(disk: Any, point: Any, capsys: Printed):
    disk.launch([(point, 0, 0)], {})
    disk.run(point, 0, "record.json")
    assert main(["--failed", str(disk.root)]) == 0
    assert capsys.readouterr().out == "0 failures = 0 causes\n"
