"""Where the sections of the penalties come from: each is in the module of its penalty.

A plan checks settings and never trains, so it must not wait for torch, which the formulas need. That is why a
section is read out of its module's source, and the rest of that module is left alone until it is wanted.
"""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from bie.errors import BadInput
from bie.schema import Count, NonNegative, Positive, Section, Share

FOLDER = Path(__file__).parents[1] / "penalties"
LIGHT = ("typing", "pydantic", "bie.schema", "bie.config.penalties", "bie.errors")
"""Modules that a section may be made of."""


class PenaltySection(Section):
    """Base of the penalties' sections."""

    free: ClassVar[tuple[str, ...] | None] = None
    """Keys in which runs of a pack may differ (docs/extending.md); None: they train alone."""

    critic_term: ClassVar[str | None] = None
    """Column of the history that tells what its critic sees; see `bie.metrics.critic_audit`."""

    neutral: ClassVar[dict[str, Any]] = {"scale": 1.0}
    """Keys that a preference stands in for, and with which values the penalty is what it measures."""

    scale: NonNegative
    preference: Share | None = None

    @property
    def packs(self) -> bool:
        """Whether runs with it can train together."""
        return self.free is not None

    def inactive(self) -> dict[str, str]:
        """With a preference there is no weight to be set."""
        if self.preference is None:
            return {}
        return dict.fromkeys(self.neutral, f"preference={self.preference:g}")

    def check(self, epochs: int) -> None:
        """Raise `BadInput` if it would never act in a training of so many epochs."""
        if self.preference is not None and epochs < 2:
            name = type(self).__module__.rpartition(".")[2]
            raise BadInput(
                f"{name}.preference={self.preference:g} acts from the second epoch on; "
                f"train.epochs={epochs} must be 2 or more"
            )


class ClassifierSection(PenaltySection):
    """Base of the sections whose critic is a classifier of the batch."""

    free = ("scale", "lr")

    n_hidden: Count
    n_layers: Count
    lr: Positive
    steps: Count


Schema = TypeVar("Schema", bound=PenaltySection)
_KNOWN: dict[str, type[Any]] = {}


def section(schema: type[Schema]) -> type[Schema]:
    """Mark the class of a penalty's settings, for `sections` to find in the source of its module.

    Its body may use what the module imports from `LIGHT`, and nothing else of it. The class is one and the
    same, whether it was read by `sections` or by importing the module.
    """
    found: type[Schema] = _KNOWN.setdefault(schema.__module__, schema)
    return found


@cache
def sections() -> dict[str, type[PenaltySection]]:
    """The section of each penalty, by the name of its module and of its key in the configuration."""
    sources = {path.stem: ast.parse(path.read_text(), path) for path in sorted(FOLDER.glob("*.py"))}
    marked = {name: source for name, source in sources.items() if any(map(_is_marked, source.body))}
    return {name: _read(name, source) for name, source in marked.items()}


def _read(name: str, source: ast.Module) -> type[PenaltySection]:
    """Run what a module imports from `LIGHT`, and the marked class."""
    module = f"bie.penalties.{name}"
    wanted: list[Callable[[ast.stmt], bool]] = [_is_light, _is_marked]
    body = [statement for statement in source.body if any(holds(statement) for holds in wanted)]
    code = compile(ast.Module(body, []), FOLDER / f"{name}.py", "exec")
    exec(code, {"__name__": module})
    return _KNOWN[module]


def _is_light(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module in LIGHT


def _is_marked(statement: ast.stmt) -> bool:
    marks = statement.decorator_list if isinstance(statement, ast.ClassDef) else []
    return any(isinstance(mark, ast.Name) and mark.id == section.__name__ for mark in marks)
