"""Values of dotted keys, references among them, and what is wrong with them."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from bie.errors import BadInput
from bie.planning.keys import (
    as_bad_input,
    assign,
    copied,
    did_you_mean,
    lookup,
    references,
    resolve,
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
