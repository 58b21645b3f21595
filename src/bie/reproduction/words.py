"""A comparison for people and for programs."""

from collections.abc import Iterator
from typing import Any

from bie.reproduction.comparison import Comparison

MOST = 20
"""Different numbers that are listed."""


def one_line(comparison: Comparison) -> str:
    """How many numbers are equal, within tolerance, different."""
    equal, close, different = (len(comparison.having(v)) for v in ("equal", "close", "different"))
    parts = [f"{equal} equal bit for bit"]
    parts += [f"{close} equal within {comparison.tolerance:g}"] if close else []
    parts += [f"{different} different"] if different else []
    return f"{len(comparison.numbers)} numbers: {', '.join(parts)}"


def as_lines(comparison: Comparison) -> Iterator[str]:
    """The verdict, the numbers that differ, and what could be behind it."""
    yield one_line(comparison)
    unequal = [*comparison.having("different"), *comparison.having("close")]
    width = max((len(number.name) for number in unequal[:MOST]), default=0)
    for number in unequal[:MOST]:
        verdict = number.verdict(comparison.tolerance)
        yield f"  {number.name:<{width}}  {_shown(number.recorded)}, now {_shown(number.found)}  {verdict}"
    if len(unequal) > MOST:
        yield f"  and {len(unequal) - MOST} more"
    if unequal:
        why = comparison.reasons or ("nothing that the records tell: run it once more",)
        yield "why it could be:"
        yield from (f"  {reason}" for reason in why)


def _shown(value: float | None) -> str:
    return "none" if value is None else repr(value)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Plain values: every number with its verdict, and the reasons."""
    numbers = [
        {**number._asdict(), "verdict": number.verdict(comparison.tolerance)} for number in comparison.numbers
    ]
    return {"held": comparison.held, "numbers": numbers, "reasons": list(comparison.reasons)}
