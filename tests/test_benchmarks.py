"""What benchmarks must not do; they are run by hand."""

import os
import sys

import pytest

from benchmarks import gpu, packs
from benchmarks.referee import chosen, score, table


def test_a_pack_as_large_as_fits_needs_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--sizes", "1,auto"])
    with pytest.raises(SystemExit) as refused:
        gpu.main()
    assert refused.value.code == 2
    assert "--sizes auto asks a GPU for its memory; with --device cpu give numbers" in capsys.readouterr().err


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    within = list[str | None]()
    monkeypatch.delenv("BIE_KERNELS", raising=False)
    monkeypatch.setattr(packs, "fit", lambda *_: within.append(os.environ.get("BIE_KERNELS")))
    packs.trained(packs.Place("cpu", "", None), None, [], kernels="torch")  # type: ignore[arg-type]
    assert within == ["torch"]
    assert "BIE_KERNELS" not in os.environ


def test_the_rule_of_the_referee_takes_the_lowest_of_equal_scales() -> None:
    good = {"be_ratio": 1.2, "ari": 0.6}
    assert score(good) == score({"be_ratio": 1.0, "ari": 0.6}) == 0.8
    scores = {100.0: [score(good)] * 2, 10.0: [0.7, 0.9], 1000.0: [0.9, 0.5]}
    assert chosen(scores) == 10.0
    assert table({"scvi_hsic": scores})[-1] == "| scvi_hsic | **0.800** | 0.800 | 0.700 |"
