"""Sections that are read out of the modules of their penalties."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

from bie.config.penalties import FOLDER, sections
from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id

PLAN = """
import sys
from bie.config import RunConfig
assert "torch" not in sys.modules
from bie.config.penalties import sections
print(*(name for name in sections() if name in RunConfig.model_fields))
"""


@pytest.mark.parametrize("name", sections())
def test_a_section_is_the_class_of_its_module(name: str) -> None:
    schema = sections()[name]
    assert getattr(import_module(f"bie.penalties.{name}"), schema.__name__) is schema
    assert schema.__module__ == f"bie.penalties.{name}"


def test_every_module_that_builds_a_penalty_has_one() -> None:
    def builds(source: str) -> bool:
        return any(
            isinstance(node, ast.FunctionDef) and node.name == "build" for node in ast.parse(source).body
        )

    assert {path.stem for path in FOLDER.glob("*.py") if builds(path.read_text())} == set(sections())


def test_a_configuration_knows_all_of_them_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(sections())


MODELS = {name: name if name == "adversarial" else f"scvi_{name}" for name in sections()}


@pytest.mark.parametrize("name", sections())
def test_a_preference_stands_in_for_every_scale(name: str, configurations: Configurations) -> None:
    typed = (f"model={MODELS[name]}", f"{name}.scale=1,100", f"{name}.preference=null,0.5")
    combinations = expand(typed, configurations).combinations
    plain = {config_id(each.config.scientific()): each.config.scientific()[name] for each in combinations}
    weights = [{key: one[key] for key in ("scale", "preference") if key in one} for one in plain.values()]
    assert weights == [{"scale": 1}, {"preference": 0.5}, {"scale": 100}]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (
            ("hsic.preference=0.5", "model=scvi_hsic", "train.epochs=1"),
            "acts from the second epoch on; train.ep",
        ),
        (
            ("mine.preference=0.5", "model=scvi_mine", "mine.critic_training=none"),
            "Use mine.critic_training=adam",
        ),
        (("mine.preference=0.5", "model=scvi_mine", "train.epochs=1"), "^mine.preference=0.5 acts from"),
    ],
)
def test_a_preference_that_would_never_act_is_refused(
    typed: tuple[str, ...], says: str, configurations: Configurations
) -> None:
    with pytest.raises(BadInput, match=says) as error:
        expand(typed, configurations)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "inactive"),
    [
        (("model=scvi_mine", "mine.preference=0.5", "mine.warm_start=1000"), "mine.warm_start"),
        (("model=adversarial", "adversarial.preference=0.5", "adversarial.ramp=ganin"), "adversarial.ramp"),
    ],
)
def test_a_preference_silences_what_would_delay_the_penalty(
    typed: tuple[str, ...], inactive: str, configurations: Configurations
) -> None:
    (found,) = expand((*typed, "train.epochs=2"), configurations).combinations
    assert found.inactive == {inactive: typed[1]}
