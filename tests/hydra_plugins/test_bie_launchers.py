"""bie's launchers among those of Hydra."""

from pathlib import Path

import pytest

from bie.run import main


def test_a_sweeper_of_another_kind_is_refused_in_one_line(
    in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    Path("own").mkdir()
    Path("own/mine.yaml").write_text("defaults: [config, _self_, {override hydra/sweeper: basic}]\n")
    assert main(["-m", "--config-dir", "own", "--config-name", "mine", *tiny, "seed=0,1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hydra/sweeper: bie's launchers take whole plans")
    assert not Path("outputs").exists()
