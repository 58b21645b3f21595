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


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([7.75, 7.5, 8.5], ("7.5", "7.75", "8.5")),
        ([0.5, 0.1, 1], ("0.1", "0.5", "1.0")),
        ([2, 10, 1], ("1", "2", "10")),
        ([1e20, -1, 0], ("-1", "0", "100000000000000000000")),
        ([0.1, 0.1 + 1e-7, 1 / 3], None),
    ],
)
@pytest.mark.parametrize("as_category", [False, True])
def test_fractions_keep_their_names(
    values: list[float], names: tuple[str, ...] | None, dtype: str, as_category: bool
) -> None:
    """Whole numbers only where all are; no two groups share a name."""
    column = pd.Series(np.array(values, dtype))
    codes, found = grouping.codes(column.astype("category") if as_category else column)
    assert len(set(found)) == len(set(column)) == len(found)
    assert [float(found[code]) for code in codes] == pytest.approx(values)
    if names and dtype == "f8":
        assert found == names


def test_a_column_of_few_fractions_names_groups() -> None:
    days = np.array([7.5, 7.75, 8.5])[np.arange(60) % 3]
    obs = pd.DataFrame({"day": days, "score": np.random.default_rng(0).random(60), "late": days > 8})
    assert grouping.groupings(obs) == {"day": 3, "late": 2}


def test_more_than_200_values_are_named_apart() -> None:
    obs = pd.DataFrame({"donor": [f"d{n % 300}" for n in range(900)], "n_genes": np.arange(900) % 300})
    assert grouping.groupings(obs) == {}
    assert grouping.many(obs) == {"donor": 300}
