import pytest
from omegaconf import OmegaConf

from bie.errors import BadInput
from bie.planning.values import assign, copied, lookup, references, resolve


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
    assert [key for key, _ in references(plain)] == ["a.b", "d"]
    resolve(plain, OmegaConf.create(plain))
    assert plain == {"a": {"b": 3}, "c": 3, "d": ["x3"], "study": {"sweep": ["a.b=${c}"]}}
