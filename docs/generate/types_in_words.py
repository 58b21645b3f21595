"""Types of the configuration's schema, as words for people."""

import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from bie.config.launch import Margin, Settings
from bie.config.launchers import Gigabytes, Lines, Minutes, Seconds
from bie.schema import Name

_PLAIN: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    type(None): "`null`",
}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_NAMED: dict[Any, str] = {
    Name: "name: letters, digits and `. _ + -`",
    Minutes: 'minutes, 1 to 525,600, or a time as Slurm has it (`"1-12:00:00"`)',
    Seconds: 'seconds, 1 to 65,535, or a time as Slurm has it (`"2:00"`)',
    Gigabytes: "GiB ≥ 0",
    Lines: "list of shell lines",
    Margin: "number ≥ 0, or a share of the baseline's mean such as `0.5%`",
    # a union whose parts a validator narrows further
    Settings.model_fields["pack"].annotation: "`auto`, or a whole number ≥ 1",
}


def in_words(annotation: Any) -> str:
    """Type and range that an annotation stands for.

    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> in_words(Annotated[int, Field(ge=1, le=20)] | None)
    'whole number ≥ 1, ≤ 20 or `null`'
    """
    for known, words in _NAMED.items():
        if annotation == known:
            return words
    if hasattr(annotation, "__metadata__"):
        bounds = list(_bounds(annotation.__metadata__))
        words = in_words(annotation.__origin__)
        return f"{words} {', '.join(bounds)}" if bounds else words
    return _compound(annotation)


def _compound(annotation: Any) -> str:
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(part) for part in parts))
    if kind is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if kind in (list, tuple):
        return f"list of {in_words(parts[0])}"
    if kind is dict:
        return f"`{{name: value}}`, each value {in_words(parts[1])}"
    return _PLAIN[annotation]


def _bounds(metadata: Iterable[Any]) -> Iterable[str]:
    """Every bound among the marks of an annotation, which pydantic and Field may nest."""
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from _bounds(mark.metadata)
        elif not isinstance(mark, AfterValidator):
            yield from (
                f"{sign} {getattr(mark, name):,}" for name, sign in _SIGNS.items() if hasattr(mark, name)
            )
