"""Columns of obs as groups of cells: batches and labels."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.data.checks import Problem

if TYPE_CHECKING:
    import pandas as pd

    from bie.data.table import Table

MOST_GROUPS = 200


def codes(column: "pd.Series[Any]") -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the values of a column of obs: those of a categorical in its order, others sorted.

    Categories that no cell has are left out. No value may be missing.

    Returns
    -------
    code_n, names
        Codes 0 to len(names) - 1, and the values as text; 1.0 is called ``1`` where all are whole.
    """
    import pandas as pd

    grouped = column.astype("category").cat.remove_unused_categories()
    values = grouped.cat.categories
    names = _float_names(values) if pd.api.types.is_float_dtype(values) else [str(value) for value in values]
    return np.array(grouped.cat.codes, dtype=np.int64), tuple(names)


def _float_names(values: "pd.Index[Any]") -> list[str]:
    """Whole numbers only where all are: 7.5 and 8.0 stay so."""
    numbers = np.asarray(values, dtype=values.dtype.name.lower())  # Float64 of pandas is float64 of NumPy
    if (numbers == np.floor(numbers)).all() and np.isfinite(numbers).all():
        return [str(int(number)) for number in numbers]
    return [str(number) for number in numbers]


def groupings(obs: "Table | pd.DataFrame") -> dict[str, int]:
    """Columns that could tell batches or labels, with their number of values: 2 to 200, no measurements."""
    most = min(MOST_GROUPS, len(obs) // 2)
    columns = {str(key): obs[str(key)] for key in obs}
    sizes = {key: column.nunique() for key, column in columns.items() if not is_measurement(column)}
    return {key: size for key, size in sizes.items() if 2 <= size <= most}


def is_measurement(column: "pd.Series[Any]") -> bool:
    """Whether a column holds numbers with fractions, which name no group of cells."""
    import pandas as pd

    values = column.dropna()
    return bool(pd.api.types.is_float_dtype(values) and (values % 1 != 0).any())


def find_problems(obs: "Table", option: str, key: str, fewest: int) -> list[Problem]:
    """Everything that speaks against a column as batches or labels; [] if nothing does.

    Parameters
    ----------
    obs
        What is known of every cell.
    option, key
        The setting and its value, as in ``dataset.batch_key`` and ``donor``.
    fewest
        How many different values there must be.
    """
    said = f"{option}={key}"
    offered = ", ".join(f"{name} ({size})" for name, size in groupings(obs).items()) or "none"
    offer = f"Columns with 2 to {MOST_GROUPS} values: {offered}"
    if key not in obs:
        return [Problem(f"{said} is not in obs", offer)]
    absent = int(obs[key].isna().sum())
    if absent:
        remedy = f'Name them, or drop them: adata = adata[adata.obs["{key}"].notna()].copy()'
        return [Problem(f"{said} has no value in {absent:,} of {len(obs):,} cells", remedy)]
    if is_measurement(obs[key]):
        return [
            Problem(f"{said} holds measurements ({obs[key].iloc[0]:.4g}, ...), no groups of cells", offer)
        ]
    size = obs[key].nunique()
    if size > len(obs) // 2:
        return [Problem(f"{said} has {size:,} values for {len(obs):,} cells, so it names no groups", offer)]
    if size < fewest:
        only = obs[key].iloc[0]
        return [Problem(f"{said} has {size} value only ({only}), {fewest} or more are needed", offer)]
    return []
