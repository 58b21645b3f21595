"""Two records of one run, number by number, and what could be behind a difference."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

TOLERANCE = 1e-3
"""Relative difference up to which numbers count as the same."""
NOTHING = 1e-6
"""Absolute difference up to which they do: of numbers about zero."""

Verdict = Literal["equal", "close", "different"]
_SECTIONS = (
    "metrics.train",
    "metrics.test",
    "history_tail",
    "probe_f1_by_batch.train",
    "probe_f1_by_batch.test",
    "ot_ratio_by_type.train",
    "ot_ratio_by_type.test",
)
"""All of a record that holds numbers which the cells and the training decide: times and places are left."""


class Number(NamedTuple):
    """A number of a record, and what it is this time; None where there is none."""

    name: str
    recorded: float | None
    found: float | None

    def verdict(self, tolerance: float) -> Verdict:
        """``equal`` is bit for bit.

        >>> Number("ari", 0.5, 0.5004).verdict(1e-3)
        'close'
        """
        if self.recorded == self.found:
            return "equal"
        if not isinstance(self.recorded, int | float) or not isinstance(self.found, int | float):
            return "different"  # one has no number, or something else in its place
        near = math.isclose(self.recorded, self.found, rel_tol=tolerance, abs_tol=NOTHING)
        return "close" if near else "different"


@dataclass(frozen=True)
class Comparison:
    """All numbers of two records, and the differences between their makers, in words."""

    numbers: tuple[Number, ...]
    reasons: tuple[str, ...]
    tolerance: float = TOLERANCE

    def having(self, verdict: Verdict) -> list[Number]:
        """The numbers with this verdict."""
        return [number for number in self.numbers if number.verdict(self.tolerance) == verdict]

    @property
    def held(self) -> bool:
        """Whether no number is different."""
        return not self.having("different")


def compare(
    recorded: Mapping[str, Any], found: Mapping[str, Any], tolerance: float = TOLERANCE
) -> Comparison:
    """Compare the numbers of two records; time and place are no part of them."""
    then, now = dict(_numbers(recorded)), dict(_numbers(found))
    names = {**then, **now}
    numbers = tuple(Number(name, then.get(name), now.get(name)) for name in names)
    return Comparison(numbers, tuple(reasons(recorded["provenance"], found["provenance"])), tolerance)


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for section in _SECTIONS:
        values: Any = record
        for key in section.split("."):
            values = values.get(key) if isinstance(values, Mapping) else None
        if isinstance(values, Mapping):
            yield from (
                (f"{section}.{name}".removeprefix("metrics."), value) for name, value in values.items()
            )


def reasons(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two provenances and can change a number.

    A record of before a fact was noted says nothing about it.
    """
    for fact, words in _FACTS.items():
        before, after = _lookup(then, fact), _lookup(now, fact)
        if before is not None and before != after and not _are_part(before, after):
            yield f"{words}: {_shown(before)}, now {_shown(after)}"
    packages, others = then.get("packages") or {}, now.get("packages") or {}
    for name in sorted(packages.keys() | others.keys()):
        if packages.get(name) != others.get(name):
            yield f"{name}: {packages.get(name, 'none')}, now {others.get(name, 'none')}"


_FACTS = {
    "python": "Python",
    "kernels": "kernels and their compiler",
    "device.type": "device",
    "device.name": "processor",
    "device.threads": "threads",
    "device.pack": "runs trained together",
    "device.matmul_precision": "precision of products on the GPU",
    "numerics.instructions": "instructions of the processor",
    "numerics.threadpools": "libraries of linear algebra",
    "numerics.deterministic_algorithms": "deterministic algorithms",
    "numerics.matmul_precision": "precision of products",
    "platform": "system",
}
"""What can change a number, by its place in the provenance; the likeliest first.

The code cannot: what made the record is what runs again, whichever lock stands in its hash.
"""


def _are_part(before: Any, after: Any) -> bool:
    """Whether of two lists one holds the other: a library is listed once it is loaded, which may be later."""
    if not isinstance(before, list) or not isinstance(after, list):
        return False
    return set(before) <= set(after) or set(after) <= set(before)


def _lookup(facts: Mapping[str, Any], key: str) -> Any:
    value: Any = facts
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text
