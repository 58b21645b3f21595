"""How many runs a device has room for."""

from bie.data.load import load
from bie.packed import Packed, bytes_of_cells, bytes_of_run, room
from bie.planning.compose import Configurations
from bie.training.checkpoint import Keeper
from tests.training.packs import configs


def test_as_many_runs_as_fit_beside_the_cells_and_one_at_least(configurations: Configurations) -> None:
    (config,) = configs(configurations, "model=scvi_mine")
    cells, run = load(config.dataset), Packed(config, lambda row: None, Keeper())
    assert bytes_of_cells(cells) == 4 * cells.n_cells * cells.n_genes
    five = bytes_of_cells(cells) + 5 * bytes_of_run(run, cells)
    assert [room(run, cells, free) for free in (five, five - 1, 0.0)] == [5, 4, 1]
