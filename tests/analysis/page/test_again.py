import shlex
from collections.abc import Sequence

import pytest

from bie.analysis.page.again import command
from bie.planning.compose import Configurations
from bie.planning.expand import expand


@pytest.mark.parametrize(
    "argv",
    [
        ["-m", "model=scvi,scvi_mine", "mine.scale=10,20", "seed=range(3)"],
        ["-m", "model=scvi,scvi_mmd", "mmd.scale=5", "model.likelihood=zinb,nb", "seed=1,4"],
        ["-m", "study=trade_off", "dataset=zinb", "outputs=x", "hydra.launcher.workers=1"],
    ],
    ids=["grid", "strings", "study"],
)  # fmt: skip
def test_the_command_of_a_run_makes_that_run_and_no_other(
    argv: Sequence[str], configurations: Configurations
) -> None:
    points = expand([typed for typed in argv if typed != "-m"], configurations).combinations
    swept = {key for point in points for key in point.grid}
    for point in {point.config.model_dump_json(): point for point in points}.values():
        typed = shlex.split(command(argv, point.config.model.name, point.grid, swept) + "1")
        assert typed[:4] == ["python", "-m", "bie.run", "-m"]
        (again,) = {
            found.config.model_dump_json(): found for found in expand(typed[4:], configurations).combinations
        }.values()
        assert again.seeds == (1,)
        assert again.config.scientific() | {"seed": 0} == point.config.scientific() | {"seed": 0}
