"""Columns of obs as groups of cells: batches and labels."""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.data.checks import Problem
from bie.data.nodes import Unreadable
from bie.data.table import R_MISSING, Table

if TYPE_CHECKING:
    import pandas as pd

MOST_GROUPS = 200
CELLS_PER_FRACTION = 10
"""Fewest cells for each value of a column of fractions that names groups, such as days or doses."""


Codes = tuple[NDArray[np.int64], tuple[str, ...]]


def codes(column: "pd.Series[Any]") -> Codes:
    """Number the values of a column of obs: those of a categorical in its order, others sorted.

    Categories that no cell has are left out. No value may be missing.

    Returns
    -------
    code_n, names
        Codes 0 to len(names) - 1, and the values as text; 1.0 is called ``1`` where all are whole.
    """
    return of_several([column])[0]


def of_several(columns: "Sequence[pd.Series[Any]]") -> list[Codes]:
    """`codes` of one column in several files, where the same value has the same name in all of them."""
    grouped = [column.astype("category").cat.remove_unused_categories() for column in columns]
    values = [column.cat.categories for column in grouped]
    names = map(_float_names if any(map(_has_fractions, values)) else _names, values)
    return [
        (np.array(column.cat.codes, dtype=np.int64), tuple(named))
        for column, named in zip(grouped, names, strict=True)
    ]


def _has_fractions(values: "pd.Index[Any]") -> bool:
    import pandas as pd

    if not pd.api.types.is_float_dtype(values):
        return False
    numbers = _floats(values)
    return bool((numbers != np.floor(numbers)).any() or not np.isfinite(numbers).all())


def _floats(values: "pd.Index[Any]") -> NDArray[Any]:
    return np.asarray(values, dtype=values.dtype.name.lower())  # Float64 of pandas is float64 of NumPy


def _names(values: "pd.Index[Any]") -> list[str]:
    """Whole numbers as such."""
    import pandas as pd

    whole = map(int, _floats(values)) if pd.api.types.is_float_dtype(values) else values
    return [str(value) for value in whole]


def _float_names(values: "pd.Index[Any]") -> list[str]:
    """Where not all numbers are whole: 7.5 and 8.0 stay so, and 8 is 8.0."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(values):
        return [str(float(value)) for value in values]
    return [str(value) for value in (_floats(values) if pd.api.types.is_float_dtype(values) else values)]


def groupings(obs: "Table | pd.DataFrame") -> dict[str, int]:
    """Columns that could tell batches or labels, with their number of values: 2 to 200, no measurements."""
    most = min(MOST_GROUPS, len(obs) // 2)
    return {key: size for key, size in _known_sizes(obs).items() if 2 <= size <= most}


def many(obs: "Table | pd.DataFrame") -> dict[str, int]:
    """Columns of text with more than 200 values that could tell batches all the same, with their number."""
    import pandas as pd

    sizes = {key: size for key, size in _known_sizes(obs).items() if MOST_GROUPS < size <= len(obs) // 2}
    return {key: size for key, size in sizes.items() if not pd.api.types.is_numeric_dtype(obs[key])}


def _known_sizes(obs: "Table | pd.DataFrame") -> dict[str, int]:
    return obs.group_sizes if isinstance(obs, Table) else sizes(obs)


def sizes(obs: "Table | pd.DataFrame") -> dict[str, int]:
    """Number of different values of each column that holds no measurements."""
    columns = {str(key): obs[str(key)] for key in obs}
    return {key: column.nunique() for key, column in columns.items() if not is_measurement(column)}


def is_measurement(column: "pd.Series[Any]") -> bool:
    """Whether a column holds numbers with fractions, and too many for days or doses to be groups of cells."""
    import pandas as pd

    values = column.dropna()
    if not pd.api.types.is_float_dtype(values) or not (values % 1 != 0).any():
        return False
    return values.nunique() > min(MOST_GROUPS, len(values) // CELLS_PER_FRACTION)


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
    if key not in obs:
        near = next((name for name in obs.keys if _alike(name) == _alike(key)), None)
        hint = f"Did you mean {near}? " if near else ""
        return [Problem(f"{said} is not in obs", f"{hint}{_offer(obs)}")]
    try:
        column = obs[key]
    except Unreadable as error:
        return [Problem(str(error), _offer(obs))]
    absent = int(column.isna().sum())
    if absent == len(obs):
        return [Problem(f"{said} has no value in any cell", _offer(obs))]
    if absent:
        return [_missing(obs, option, key, absent)]
    if is_measurement(column):
        return [Problem(f"{said} holds measurements ({column.iloc[0]:.4g}, ...), no groups", _offer(obs))]
    size = column.nunique()
    if size > len(obs) // 2:
        finding = f"{said} has {size:,} values for {len(obs):,} cells, so it names no groups"
        return [Problem(finding, _offer(obs))]
    if size < fewest:
        finding = f"{said} has {size} value only ({column.iloc[0]}), {fewest} or more are needed"
        return [Problem(finding, _offer(obs))]
    return []


def _missing(obs: "Table", option: str, key: str, absent: int) -> Problem:
    """Missing values are no batch and no type; the remedies are those that work with what the file holds."""
    of_r = obs.missing_of_r(key)
    finding = f"{option}={key} has no value in {absent:,} of {len(obs):,} cells"
    finding += f" (R's missing integer, {R_MISSING[0]})" if of_r else ""
    without = f"Leave {option} out, name them" if option.endswith("label_key") else "Name them"
    if of_r == "codes":  # a factor with such codes is one that anndata cannot read
        return Problem(finding, f"{without}, or drop them, in R: x <- x[, !is.na(x[[{json.dumps(key)}]])]")
    kept = f"!= {R_MISSING[0]}" if of_r else ".notna()"
    column = f"adata.obs[{json.dumps(key, ensure_ascii=False)}]"
    condition = f"{column} {kept}" if of_r else f"{column}{kept}"
    return Problem(finding, f"{without}, or drop them: adata = adata[{condition}].copy()")


def _offer(obs: "Table") -> str:
    offered = ", ".join(f"{name} ({size})" for name, size in groupings(obs).items()) or "none"
    more = ", ".join(f"{name} ({size:,})" for name, size in many(obs).items())
    return f"Columns with 2 to {MOST_GROUPS} values: {offered}" + (f"; with more: {more}" if more else "")


def _alike(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
