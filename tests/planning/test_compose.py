from pathlib import Path

import pytest
from omegaconf.errors import ConfigKeyError

from bie.errors import BadInput
from bie.planning.compose import Configurations, in_words
from bie.planning.keys import did_you_mean


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("mine.scal", "mine.scale"),
        ("Mine.SCALE", "mine.scale"),
        ("n_latent_z", "mine.n_hidden"),
        ("model.MineLoss_Scale", "mine.scale"),
    ],
)
def test_the_nearest_name_whatever_its_letters(name: str, nearest: str):
    assert did_you_mean(name, ["mine.scale", "model.n_latent"]) == f" Did you mean {nearest}?"
    assert did_you_mean("zzz", ["mine.scale"]) == ""


def test_references_stay_until_a_combination_is_finished(configurations: Configurations, tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "long.yaml").write_text("epochs: ${oc.env:NO_SUCH_VARIABLE}\n")
    own = Configurations(configurations.folder, tmp_path)
    assert own.compose({"train": "long"})["train"]["epochs"] == "${oc.env:NO_SUCH_VARIABLE}"
    assert own.composed({"train": "long"}).whole.hydra.runtime.choices["train"] == "long"
    assert own.composed({}).whole.hydra.runtime.choices["model"] == "scvi"


@pytest.mark.parametrize(
    "raised", [ConfigKeyError("no\nsuch key"), ValueError("no such key"), TypeError("no such key")]
)
def test_what_hydra_and_omegaconf_raise_is_one_line(raised: Exception):
    with (
        pytest.raises(BadInput, match=r"^train=x: the configuration cannot be composed: no such key$"),
        in_words("train=x"),
    ):
        raise raised


def test_bad_input_is_left_as_it_is():
    with pytest.raises(BadInput, match=r"^mine$"), in_words("train=x"):
        raise BadInput("mine")
