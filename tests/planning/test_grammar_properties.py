"""What holds of the grammar of overrides for any text and any value."""

import contextlib
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bie.errors import BadInput
from bie.planning.application import _text
from bie.planning.grammar import read_axes

GROUPS = {"model": ["scvi", "scvi_mine"]}
NUMBERS = st.integers() | st.floats(allow_nan=False)
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=30))
@example("mine.scale=1,2,")
@example("zip(a=[1],b=[1,2])")
@example("seed=range(0,1e400)")
@example("k=" + "[" * 400)
def test_any_text_is_read_or_is_bad_input(text: str):
    with contextlib.suppress(BadInput):
        assert all(axis.values for axis in read_axes([text], GROUPS))


def _values(text: str) -> list[Any]:
    (axis,) = read_axes([text], GROUPS)
    return [value for (value,) in axis.values]


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_numbers_are_read_as_they_are(numbers: list[int | float]):
    text = ",".join("inf" if n == math.inf else "-inf" if n == -math.inf else repr(n) for n in numbers)
    assert _values(f"key={text}") == numbers


@settings(max_examples=60, deadline=None)
@given(PRINTABLE | NUMBERS | st.booleans() | st.none() | st.lists(PRINTABLE, max_size=3))
def test_a_value_survives_its_own_text(value: Any):
    assert _values(f"key={_text(value)}") == [value]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50))
def test_ranges_are_those_of_python(start: int, n: int):
    stop = start + n + 1
    assert _values(f"key=range({start},{stop})") == list(range(start, stop))
    assert _values(f"seed={start}..{stop}") == list(range(start, stop + 1))
