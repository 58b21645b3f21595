"""Keys of Hydra: read, refused with a remedy, or left to the sweeper and the launcher."""

import pytest

from bie.errors import BadInput
from bie.planning.hydra_keys import for_bie, is_multirun, params, searchpath


def test_what_tells_how_to_read_is_not_left_among_what_is_read():
    typed = ["hydra.mode=MULTIRUN", "seed=1", "hydra.searchpath=[file:///x]", "hydra/sweeper=bie"]
    assert for_bie(typed) == ["seed=1"]
    assert searchpath(typed) == ("hydra.searchpath=[file:///x]",)
    assert is_multirun(typed)
    assert not is_multirun(["hydra.mode=RUN"])


def test_launchers_and_parameters_of_the_sweeper_stay():
    typed = ["hydra/launcher=local", "hydra.launcher.workers=1", "hydra.sweeper.params.seed=1"]
    assert for_bie(typed) == typed


def test_parameters_of_the_configuration_come_before_those_typed():
    configured = {"model": {"n_latent": "5,6"}, "seed": "range(3)", "dataset.layer": None}
    typed = ["x=1", "+hydra.sweeper.params.seed=7", 'hydra.sweeper.params.train.epochs="1,2"']
    assert params(configured, typed) == [
        "model.n_latent=5,6",
        "seed=range(3)",
        "dataset.layer=null",
        "seed=7",
        "train.epochs=1,2",  # to Hydra's own sweeper, too
    ]
    assert params(None, []) == []


@pytest.mark.parametrize(
    "key", ["hydra.sweep.dir", "hydra.job.name", "+hydra.callbacks.x", "hydra.sweeper.x"]
)
def test_the_nearest_remedy_is_named(key: str):
    with pytest.raises(BadInput, match="is not a setting here: "):
        for_bie([f"{key}=1"])
