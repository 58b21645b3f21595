"""Read overrides in Hydra's grammar into axes of a grid.

Hydra's own parser does the reading: choices, ``range``, ``choice``, ``sort``, casts, quotes. Added is
``zip(a=[1,2],b=[3,4])``, which couples keys: as many combinations as each list is long.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Sweep,
)
from hydra.errors import HydraException

from bie.errors import BadInput


@dataclass(frozen=True)
class Axis:
    """Keys that move together, and the values they take in turn."""

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def swept(self) -> bool:
        """Whether there is more than one value."""
        return len(self.values) > 1

    def without(self, keys: Iterable[str]) -> "Axis":
        """Drop some of the keys; the others keep their values."""
        kept = [i for i, key in enumerate(self.keys) if key not in set(keys)]
        return Axis(tuple(self.keys[i] for i in kept), tuple(tuple(v[i] for i in kept) for v in self.values))


def read_axes(overrides: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[Axis]:
    """Axes of a command line, in its order; of a key given twice, the last counts.

    Parameters
    ----------
    overrides
        Texts as typed: ``model=scvi,scvi_mine``, ``seed=range(100)``, ``zip(a=[1,2],b=[3,4])``.
    groups
        Choices of each config group, for ``glob`` patterns.

    Raises
    ------
    BadInput
        A text that Hydra's grammar does not know, or a form that has no meaning in a grid.
    """
    axes: list[Axis] = []
    for text in overrides:
        axis = _read_zip(text) if text.startswith("zip(") else _read_one(text, groups)
        kept = (earlier.without(axis.keys) for earlier in axes)
        axes = [earlier for earlier in kept if earlier.keys] + [axis]
    return axes


def _read_one(text: str, groups: Mapping[str, Sequence[str]]) -> Axis:
    override = _parse(text)
    key = override.key_or_group + (f"@{override.package}" if override.package else "")
    if override.is_delete():
        raise BadInput(f"{text}: nothing can be taken out of the configuration. To set a key: {key}=VALUE")
    return Axis((key,), tuple((value,) for value in _values(override, groups.get(key, ()))))


def _values(override: Override, choices: Sequence[str]) -> list[Any]:
    swept: object = override._value
    if isinstance(swept, IntervalSweep):
        raise BadInput(f"{override.input_line}: a grid has no intervals. Use range(start,stop,step) or a,b,c")
    if isinstance(swept, Glob):
        return _matching(override, swept, choices)
    if override.is_sweep_override():
        values = [value for item in override.sweep_iterator() for value in _flat(override, item)]
    else:
        values = [_plain(override.value())]
    if not values:
        raise BadInput(f"{override.input_line}: no values")
    return values


def _flat(override: Override, item: Any) -> Iterator[Any]:
    """Values of one item of a sweep, which may be a sweep itself: ``range(3),7``."""
    if isinstance(item, RangeSweep):
        yield from item.range()
    elif isinstance(item, ChoiceSweep):
        for inner in item.list:
            yield from _flat(override, inner)
    elif isinstance(item, Sweep | Glob):
        raise BadInput(
            f"{override.input_line}: among a,b,c only values, range(...) and choice(...) can stand"
        )
    else:
        yield _plain(item)


def _matching(override: Override, pattern: Glob, choices: Sequence[str]) -> list[str]:
    found = [c for c in choices if any(fnmatch.fnmatch(c, p) for p in pattern.include)]
    found = [c for c in found if not any(fnmatch.fnmatch(c, p) for p in pattern.exclude)]
    if not found:
        among = ", ".join(choices) or "nothing: it is no group"
        raise BadInput(f"{override.input_line}: matches none of {override.key_or_group}: {among}")
    return found


def _read_zip(text: str) -> Axis:
    body = re.fullmatch(r"zip\((.*)\)", text.strip(), re.DOTALL)
    listed = re.sub(r"(^|,)\s*([\w./]+)\s*=\s*\[", r"\1\2:[", body.group(1)) if body else ""
    lists = _parse(f"zip={{{listed}}}", shown=text).value() if listed else None
    columns = _plain(lists) if isinstance(lists, dict) else {}
    if not columns or not all(isinstance(values, list) and values for values in columns.values()):
        raise BadInput(f"{text}: write zip(first=[1,2],second=[3,4]), a list for each key")
    lengths = {str(key): len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} {n}" for key, n in lengths.items())
        raise BadInput(f"{text}: the lists of a zip must be equally long; they are: {shown}")
    return Axis(tuple(lengths), tuple(zip(*columns.values(), strict=True)))


def _parse(text: str, shown: str | None = None) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason = str(error).split("\nSee ")[0].splitlines()[-1].strip(" ^") or "not KEY=VALUE"
        raise BadInput(f"cannot read {shown or text!r}: {reason}. Expected KEY=VALUE or KEY=a,b,c") from None


def _plain(value: Any) -> Any:
    """Value without the parser's quotes."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
