"""Read overrides in Hydra's grammar into axes of a grid.

Hydra's own parser does the reading: choices, ``range``, ``choice``, ``sort``, casts, quotes. bie adds

- ``zip(a=[1,2],b=[3,4])``, which couples keys: as many combinations as each list is long;
- ``seed=0..99``, both ends included, which no shell wants in quotes;

and computes ranges itself, in the decimals that were typed (`bie.planning.ranges`).
"""

import fnmatch
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
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

from bie.data.overrides import override
from bie.errors import BadInput
from bie.planning.ranges import MOST, in_decimals, sort

TEXTS = ("site.", "hydra.launcher.")
"""Keys of which Slurm is told what was typed: to it an account 12e3 is a name, not the number 12000.0."""
_FUNCTIONS = create_functions()
_FUNCTIONS.functions["sort"] = sort


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


def assignments(axes: Sequence[Axis], values: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    """Keys with a value each, of one choice of values for all axes."""
    for axis, row in zip(axes, values, strict=True):
        yield from zip(axis.keys, row, strict=True)


def key_and_value(text: str) -> tuple[str, str]:
    """Key without ``+``, and text behind the ``=``, of an override that may not be readable."""
    key, _, value = text.partition("=")
    return key.lstrip("+~"), value


def unquoted(text: str) -> str:
    """Override with the quotes around its whole value taken off, to be read once more.

    >>> unquoted("seed='range(3)'"), unquoted("seed=range(3)")
    ('seed=range(3)', 'seed=range(3)')
    """
    value = _parse(text)._value
    return f"{key_and_value(text)[0]}={value.text}" if isinstance(value, QuotedString) else text


def _read_one(text: str, groups: Mapping[str, Sequence[str]]) -> Axis:
    override = _parse(text)
    key = override.key_or_group + (f"@{override.package}" if override.package else "")
    if override.is_delete():
        raise BadInput(f"{text}: nothing can be taken out of the configuration. To set a key: {key}=VALUE")
    try:
        values = list(_values(override, override._value, groups.get(key, ())))
    except (ValueError, ArithmeticError) as error:
        raise BadInput(f"{text}: {error}") from None
    if re.search(r"(^|[._])seed$", key):
        values = [seed for value in values for seed in _seeds(key, value)]
    if key.startswith(TEXTS):
        words = re.findall(r"[^\s,:=()\[\]{}]+", text.partition("=")[2])
        values = [_as_typed(value, words) for value in values]
    if not values:
        raise BadInput(f"{text}: no values")
    return Axis((key,), tuple((value,) for value in values))


def _values(override: Override, item: Any, choices: Sequence[str]) -> Iterator[Any]:
    """Values of an element, or of a sweep and the sweeps in it: ``range(3),7``."""
    if isinstance(item, RangeSweep):
        yield from _shuffled(override, item, list(in_decimals(item)))
    elif isinstance(item, ChoiceSweep):
        inner = [value for each in item.list for value in _values(override, each, ())]
        yield from _shuffled(override, item, inner)
    elif isinstance(item, Glob) and choices:
        yield from _matching(override, item, choices)
    elif isinstance(item, IntervalSweep):
        raise BadInput(f"{override.input_line}: a grid has no intervals. Use range(start,stop,step) or a,b,c")
    elif isinstance(item, Sweep | Glob):
        raise BadInput(
            f"{override.input_line}: among a,b,c only values, range(...) and choice(...) can stand"
        )
    else:
        yield _plain(item)


def _as_typed(value: Any, words: Sequence[str]) -> Any:
    """Value with the words that were typed in the place of numbers that would be written otherwise.

    >>> _as_typed({"reservation": 12000.0, "nice": 100}, ["reservation", "12e3", "nice", "100"])
    {'reservation': '12e3', 'nice': 100}
    """
    if isinstance(value, dict):
        return {key: _as_typed(item, words) for key, item in value.items()}
    if not isinstance(value, int | float) or isinstance(value, bool) or str(value) in words:
        return value
    return next((word for word in words if _number(word) == value), value)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _shuffled(override: Override, sweep: ChoiceSweep | RangeSweep, values: list[Any]) -> list[Any]:
    """Values of ``shuffle(...)`` in an order of no meaning that is the same whenever the text is."""
    if sweep.shuffle:
        random.Random(override.input_line).shuffle(values)
    return values


def _seeds(key: str, value: Any) -> Iterable[Any]:
    """Seeds of ``0..99``; other values as they are."""
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", value) if isinstance(value, str) else None
    if ends is None:
        return [value]
    first, last = map(int, ends.groups())
    if not first <= last < first + MOST:
        raise BadInput(f"{key}={value}: FIRST..LAST counts up, both included: {key}=0..99")
    return range(first, last + 1)


def _matching(override: Override, pattern: Glob, choices: Sequence[str]) -> list[str]:
    found = [c for c in choices if any(fnmatch.fnmatch(c, p) for p in pattern.include)]
    found = [c for c in found if not any(fnmatch.fnmatch(c, p) for p in pattern.exclude)]
    if not found:
        raise BadInput(
            f"{override.input_line}: matches none of {override.key_or_group}: {', '.join(choices)}"
        )
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
        return OverridesParser(_FUNCTIONS).parse_override(text)
    except HydraException as error:
        reason = str(error).split("\nSee ")[0].splitlines()[-1].strip(" ^") or "not KEY=VALUE"
        said = f"cannot read {shown or text!r}: {reason}. Expected KEY=VALUE or KEY=a,b,c"
        raise BadInput(said + _as_one_text(text)) from None


def _as_one_text(text: str) -> str:
    """How to type a value that is a text, such as a path, and that the grammar has other uses for."""
    parts = re.fullmatch(r"([\w./]+)=([^\[{(\"'].*)", text, re.ASCII | re.DOTALL)
    if not parts or re.match(r"\w+\(|zip=", parts[2]):
        return ""
    return f"; as one text: {override(parts[1], parts[2])}"


def _plain(value: Any) -> Any:
    """Value without the parser's quotes."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
