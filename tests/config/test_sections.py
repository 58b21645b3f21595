"""Sections that are read out of the modules that they set."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

from bie.config.penalties import sections as of_penalties
from bie.config.sections import PACKAGES, ROOT, sections
from bie.schema import Section

PLAN = """
import sys
from bie.config import RunConfig
assert not {"torch", "scipy", "pandas"} & sys.modules.keys()
from bie.config.penalties import sections
print(*(name for name in sections() if name in RunConfig.model_fields))
"""


@pytest.mark.parametrize("schema", sections(Section), ids=lambda schema: schema.__qualname__)
def test_a_section_is_the_class_of_its_module(schema: type[Section]) -> None:
    assert getattr(import_module(schema.__module__), schema.__name__) is schema


def test_every_data_set_method_and_penalty_has_one() -> None:
    def does_it(source: str) -> bool:
        names = [vars(node).get("name") for node in ast.parse(source).body]
        built = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
        names += [vars(node.targets[0]).get("id") for node in built]
        return bool({"load", "build"} & set(names))

    modules = {
        f"bie.{package}.{path.stem}"
        for package in PACKAGES
        for path in ROOT.joinpath(*package.split(".")).glob("[!_]*.py")
        if does_it(path.read_text())
    }
    found = {schema.__module__ for schema in sections(Section)}
    assert {module for module in found if not module.startswith("bie.config")} == modules


def test_a_configuration_knows_all_of_them_and_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(of_penalties())
