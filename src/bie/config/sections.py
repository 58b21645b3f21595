"""Where sections come from: that of a data set, a method or a penalty is in the module that it sets.

A plan checks settings and neither trains nor reads cells, so it must not wait for what these modules import.
That is why a section is read out of its module's source, and the rest of the module is left alone until it is
wanted.
"""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from bie.schema import Section

ROOT = Path(__file__).parents[1]
PACKAGES = ("data.datasets", "methods", "penalties")
"""Packages whose modules may have a section each, below `ROOT`."""
LIGHT = (
    *("typing", "pathlib", "pydantic", "bie.schema", "bie.errors"),
    *("bie.config.base", "bie.config.datasets", "bie.config.penalties", "bie.config.sections"),
)
"""Modules that a section may be made of."""

Schema = TypeVar("Schema", bound=Section)
_KNOWN: dict[tuple[str, str], type[Any]] = {}


def section(schema: type[Schema]) -> type[Schema]:
    """Mark a section, for `sections` to find, be it in the source of a module that is not imported.

    Its body may use what the module imports from `LIGHT`, and nothing else of it. The class is one and the
    same, whether it was read by `sections` or by importing the module.
    """
    found: type[Schema] = _KNOWN.setdefault((schema.__module__, schema.__name__), schema)
    return found


def sections(base: type[Schema]) -> tuple[type[Schema], ...]:
    """The marked sections below a base: of `PACKAGES`, and of what has been imported, by module and name."""
    _read_packages()
    return tuple(schema for _, schema in sorted(_KNOWN.items()) if issubclass(schema, base))


@cache
def _read_packages() -> None:
    for package in PACKAGES:
        for path in sorted(ROOT.joinpath(*package.split(".")).glob("*.py")):
            text = path.read_text()
            if f"@{section.__name__}\n" in text:
                _read(f"bie.{package}.{path.stem}", ast.parse(text, path), path)


def _read(module: str, source: ast.Module, path: Path) -> None:
    """Run what a module imports from `LIGHT`, and the marked class."""
    wanted: list[Callable[[ast.stmt], bool]] = [_is_light, _is_marked]
    body = [statement for statement in source.body if any(holds(statement) for holds in wanted)]
    exec(compile(ast.Module(body, []), path, "exec"), {"__name__": module})


def _is_light(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module in LIGHT


def _is_marked(statement: ast.stmt) -> bool:
    marks = statement.decorator_list if isinstance(statement, ast.ClassDef) else []
    return any(isinstance(mark, ast.Name) and mark.id == section.__name__ for mark in marks)
