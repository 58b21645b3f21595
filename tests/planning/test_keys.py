"""Values of dotted keys, references among them, and keys of Hydra."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from bie.errors import BadInput
from bie.planning.keys import (
    as_bad_input,
    assign,
    copied,
    did_you_mean,
    for_bie,
    is_multirun,
    lookup,
    params,
    references,
    resolve,
    searchpath,
)


def test_a_key_is_set_where_there_is_one():
    plain = {"a": {"b": 1, "c": {"d": 2}}, "site": {"environment": None}}
    assert assign(plain, "a.b", 5)
    assert assign(plain, "a.c", {"d": 3})
    assert assign(plain, "site.environment.X", "y")
    assert assign(plain, "site.environment", {"Z": "1"})
    assert plain == {"a": {"b": 5, "c": {"d": 3}}, "site": {"environment": {"X": "y", "Z": "1"}}}
    assert not assign(plain, "a.x", 1)
    assert not assign(plain, "a.b.c", 1)
    assert not assign(plain, "a.c", {"x": 1})
    with pytest.raises(BadInput, match=r"a\.c is a section; its settings: d"):
        assign(plain, "a.c", 1)


def test_a_copy_can_be_changed():
    plain = {"a": {"b": 1}}
    copied(plain)["a"]["b"] = 2
    assert lookup(plain, "a.b") == 1
    assert lookup(plain, "a.b.c") is None


def test_references_are_resolved_where_they_stand():
    plain = {"a": {"b": "${c}"}, "c": 3, "d": ["x${c}"], "study": {"sweep": ["a.b=${c}"]}}
    assert list(references(plain)) == ["a.b", "d"]
    resolve(plain, OmegaConf.create(plain))
    assert plain == {"a": {"b": 3}, "c": 3, "d": ["x3"], "study": {"sweep": ["a.b=${c}"]}}


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


@pytest.mark.parametrize(
    "raised", [ConfigKeyError("no\nsuch key"), ValueError("no such key"), TypeError("no such key")]
)
def test_what_hydra_and_omegaconf_raise_is_one_line(raised: Exception):
    with (
        pytest.raises(BadInput, match=r"^train=x: the configuration cannot be composed: no such key$"),
        as_bad_input("train=x"),
    ):
        raise raised


def test_bad_input_is_left_as_it_is():
    with pytest.raises(BadInput, match=r"^mine$"), as_bad_input("train=x"):
        raise BadInput("mine")
