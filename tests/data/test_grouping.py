import numpy as np
import pandas as pd
import pytest

from bie.data import grouping


def test_categories_keep_their_order_and_unused_ones_go() -> None:
    column = pd.Series(pd.Categorical(["b", "a", "b"], categories=["c", "b", "a"]))
    codes, names = grouping.codes(column)
    assert (codes.tolist(), names) == ([0, 1, 0], ("b", "a"))
    assert codes.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, 10], ("9", "10")),
        ([1.0, 0.0, 1.0], ("0", "1")),
        ([True, False, True], ("False", "True")),
        (["y", "x", "y"], ("x", "y")),
        (np.array([2, 1, 2], np.uint8), ("1", "2")),
    ],
)
def test_plain_columns_are_sorted_by_value(values: list[object], names: tuple[str, ...]) -> None:
    codes, found = grouping.codes(pd.Series(values))
    assert (codes.tolist(), found) == ([1, 0, 1], names)


def test_groupings_leave_out_measurements_constants_and_names() -> None:
    obs = pd.DataFrame(
        {
            "batch": ["a", "b"] * 300,
            "plate": [0.0, 1.0] * 300,
            "score": np.linspace(0, 1, 600),
            "one": "x",
            "id": np.arange(600),
            "many": np.arange(600) % 201,
            "most": np.arange(600) % 200,
        }
    )
    assert grouping.groupings(obs) == {"batch": 2, "plate": 2, "most": 200}
