"""Ranges of Hydra's pages on its override grammar, and those that Hydra computes otherwise."""

import pytest

from bie.errors import BadInput
from bie.planning.grammar import read_axes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("num=range(5)", [0, 1, 2, 3, 4]),
        ("num=range(0,5)", [0, 1, 2, 3, 4]),
        ("num=range(0,5,2)", [0, 2, 4]),
        ("num=range(0,10,3.3)", [0.0, 3.3, 6.6, 9.9]),
        ("num=range(-5,step=-1)", [0, -1, -2, -3, -4]),
        ("num=range(start=1,stop=3)", [1, 2]),
        ("num=range(10,4,-2)", [10, 8, 6]),
        ("num=range(0.1,0.4,0.1)", [0.1, 0.2, 0.3]),
        ("num=range(1,0,-0.25)", [1.0, 0.75, 0.5, 0.25]),
        ("num=sort(range(10,1,-3))", [4, 7, 10]),
        ("num=sort(range(1,10),reverse=true)", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("num=sort(range(50,300,100),reverse=true)", [250, 150, 50]),
        ("num=sort(sweep=range(0,1,0.4),reverse=true)", [0.8, 0.4, 0.0]),
        ("num=float(sort(range(50,300,100),reverse=true))", [250.0, 150.0, 50.0]),
    ],
)
def test_values_are_those_that_one_would_type(text: str, expected: list[int | float]):
    (axis,) = read_axes([text], {})
    found = [value for (value,) in axis.values]
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed=range(0,1,0)", "step"),
        ("seed=range(1e12)", "1,000,000,000,000 values"),
    ],
)
def test_ranges_that_cannot_be_are_bad_input(text: str, says: str):
    with pytest.raises(BadInput, match=says):
        read_axes([text], {})
