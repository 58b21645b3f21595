"""Short names of grid points and of settings, for figures and pages."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 60

Rows = dict[str, tuple[str, dict[str, str]]]
"""Model of each grid point, with its data set where there are several, and its settings as texts."""


def titles(points: "pd.DataFrame") -> dict[str, str]:
    """Model and settings of each grid point, in the order of the tables; the data set if there are several.

    No two are the same. Where they would be too long, settings that tell no two apart are left out, the last
    ones first; then the settings stand without their names; where that does not help, the beginning of the
    ``config_id`` stands behind.

    Parameters
    ----------
    points
        As `bie.analysis.study.Study.grid_points`.
    """
    keys = [str(key) for key in points.columns[2:]]
    several = points["dataset"].nunique() > 1
    rows = {
        str(config): (
            " ".join([*([row["dataset"]] if several else []), row["model"]]),
            {key: text for key in keys if (text := setting(row[key]))},
        )
        for config, row in zip(points.index, points.to_dict("records"), strict=True)
    }
    rows = _needed(rows, keys)
    named = {config: shortened(_named(first, values)) for config, (first, values) in rows.items()}
    plain = {
        config: shortened(" ".join([first, *values.values()])) for config, (first, values) in rows.items()
    }
    for found in (named, plain):
        if len(set(found.values())) == len(found):
            return found
    return {config: f"{shortened(text, LONGEST - 7)} {config[:6]}" for config, text in plain.items()}


def row_titles(points: "pd.DataFrame") -> dict[str, str]:
    """`titles` of grid points among those of their own data set, for lists that name it beside them."""
    of_each = points.groupby("dataset", sort=False)
    return {config: title for _, part in of_each for config, title in titles(part).items()}


def _named(first: str, values: Mapping[str, str]) -> str:
    return " ".join([first, *(f"{name}={values[key]}" for key, name in short_keys(list(values)).items())])


def _needed(rows: Rows, keys: Sequence[str]) -> Rows:
    """The rows without settings that tell none apart, as long as a name of one would be too long."""
    for key in reversed(keys):
        if all(len(_named(*row)) <= LONGEST for row in rows.values()):
            break
        fewer = {config: (first, _without(values, key)) for config, (first, values) in rows.items()}
        if len({(first, *values.items()) for first, values in fewer.values()}) == len(rows):
            rows = fewer
    return rows


def _without(values: Mapping[str, str], key: str) -> dict[str, str]:
    return {other: text for other, text in values.items() if other != key}


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Last part of each dotted name, as long as no other ends in it.

    >>> short_keys(["mine.scale", "mmd.scale", "mine.n_hidden"])
    {'mine.scale': 'mine.scale', 'mmd.scale': 'mmd.scale', 'mine.n_hidden': 'n_hidden'}
    """
    ends = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key.rpartition(".")[2] if ends[key.rpartition(".")[2]] == 1 else key for key in keys}


def shared_columns(points: "pd.DataFrame", keys: Sequence[str]) -> dict[str, list[str]]:
    """Settings by the column of a table that shows them.

    Settings of one last name of which a model has but one, as the scales of penalties, share a column.
    """
    by_end: dict[str, list[str]] = {}
    for key in keys:
        by_end.setdefault(key.rpartition(".")[2], []).append(key)
    acting = points[list(keys)].notna().groupby(points["model"].to_numpy()).any()
    found: dict[str, list[str]] = {}
    for end, alike in by_end.items():
        shared = len(alike) > 1 and (acting[alike].sum(axis=1) <= 1).all()
        found |= {end: alike} if shared else {key: [key] for key in alike}
    return found


def setting(value: Any) -> str:
    """Value of a setting as one would type it; empty where it does not act."""
    import pandas as pd

    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else shortened(str(value))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Text of at most so many characters, on one line.

    >>> shortened("abcdefgh", 5)
    'abcd…'
    """
    line = " ".join(text[: 4 * longest].split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
