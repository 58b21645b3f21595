"""Ranges of Hydra's grammar, in the decimals that were typed.

hydra-core 1.3.8 adds up binary fractions, so that ``range(0.1,0.4,0.1)`` also holds 0.4, and sorts
``range(50,300,100)`` in reverse to 200, 100, 0.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import create_functions
from hydra.core.override_parser.types import RangeSweep

MOST = 10_000_000
"""Values of one range; more is taken for a slip."""
_HYDRAS_SORT = create_functions().functions["sort"]


def in_decimals(sweep: RangeSweep) -> Iterator[int | float]:
    """Start, start + step, ... as one would type them, the end left out.

    Raises
    ------
    ValueError
        A step of 0, or more values than `MOST`.
    """
    limits = _limits(sweep)
    number: Callable[[Decimal], int | float] = int if all(isinstance(x, int) for x in limits) else float
    start, _, step = map(_exactly, limits)
    return (number(start + i * step) for i in range(_length(sweep)))


def sort(*args: Any, sweep: Any = None, list: Any = None, reverse: bool = False) -> Any:
    """Hydra's ``sort``, but for a range that has to be turned round."""
    given = args[0] if len(args) == 1 and sweep is None else sweep
    if not isinstance(given, RangeSweep):
        return _HYDRAS_SORT(*args, sweep=sweep, list=list, reverse=reverse)
    if (given.step < 0) == reverse:
        return given
    start, _, step = _limits(given)
    number = type(step) if isinstance(start, int) and isinstance(step, int) else float
    last = _exactly(start) + (_length(given) - 1) * _exactly(step)
    return replace(
        given,
        start=number(last),
        step=-step,
        stop=number(_exactly(start) - _exactly(step)),
    )


def _length(sweep: RangeSweep) -> int:
    start, stop, step = map(_exactly, _limits(sweep))
    if step == 0:
        raise ValueError("the step of a range cannot be 0")
    n = max(0, math.ceil((stop - start) / step))
    if n > MOST:
        raise ValueError(f"a range of {n:,} values")
    return n


def _limits(sweep: RangeSweep) -> tuple[Any, Any, Any]:
    """Start, stop and step, each cast where the range was: hydra-core 1.4 leaves casts for later."""
    limits = sweep.start, sweep.stop, sweep.step
    for cast in getattr(sweep, "transformers", ()):
        limits = tuple(map(cast, limits))
    return limits


def _exactly(number: float) -> Decimal:
    """Number as it was typed.

    >>> _exactly(0.1) * 3
    Decimal('0.3')
    """
    return Decimal(repr(number))
