"""Sections that are read out of the modules of their penalties."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

from bie.config.penalties import FOLDER, sections

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
