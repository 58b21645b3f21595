"""Means over a grid of settings: two settings span each map, the others tell the maps apart."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bie.analysis.figures.style import panels, style
from bie.analysis.headings import with_unit
from bie.analysis.numbers import short
from bie.analysis.titles import setting, short_keys

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_MAPS = 12
WIDEST = 16  # squares beside each other, over all maps of a row, in which a value can be read
SLANTED = 26  # characters below a map, above which they are written aslant


def grid_keys(points: "pd.DataFrame") -> list[str]:
    """Settings with two values or more among some grid points, the one with the most values first."""
    counts = {str(key): points[key].dropna().nunique() for key in points.columns[2:]}
    return sorted((key for key, n in counts.items() if n > 1), key=lambda key: -counts[key])


def heat_map(
    summary: "pd.DataFrame", keys: Sequence[str], metric: str, ends: tuple[float, float] | None = None
) -> "Figure":
    """Draw the means of a metric over a grid, one colour scale for all maps.

    Parameters
    ----------
    summary
        As `bie.analysis.tidy.summarise` returns it, of one data set, model and split.
    keys
        Two or more settings: x, y, and those for each combination of which there is a map, of more than
        `MOST_MAPS` the first.
    ends
        Of the colour scale, where maps of other models have the same; None: the least and the largest mean.
    """
    rows = summary[summary["metric"] == metric]
    names = short_keys([str(key) for key in keys])
    groups = _maps(rows, keys[2:])
    low, high = ends or (rows["mean"].min(), rows["mean"].max())
    with style():
        columns = max(1, min(3, WIDEST // max(rows[keys[0]].nunique(), 1)))
        figure, axes = panels(len(groups), height=2.2, columns=columns)
        image = None
        for axis, (where, part) in zip(axes, groups, strict=True):
            image = _map(axis, part, keys[0], keys[1], low, high)
            axis.set(xlabel=names[keys[0]], ylabel=names[keys[1]])
            axis.set_title(", ".join(f"{names[key]}={value}" for key, value in where))
        if image is not None:
            figure.colorbar(image, ax=axes, label=with_unit(metric), shrink=0.8)
    return figure


def _maps(rows: "pd.DataFrame", keys: Sequence[str]) -> "list[tuple[list[tuple[str, str]], pd.DataFrame]]":
    if not keys:
        return [([], rows)]
    parts = list(rows.groupby(list(keys), sort=True, dropna=False))[:MOST_MAPS]
    return [
        ([(key, setting(value)) for key, value in zip(keys, values, strict=True)], part)
        for values, part in parts
    ]


def _map(axis: "Axes", part: "pd.DataFrame", x: str, y: str, low: float, high: float) -> Any:
    table = part.pivot_table(index=y, columns=x, values="mean", sort=True)
    values = table.to_numpy(dtype=float)
    image = axis.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto", origin="lower")
    names = [setting(value) for value in table.columns]
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(" ".join(names)) > SLANTED else {}
    axis.set_xticks(range(len(names)), names, **turned)
    axis.set_yticks(range(values.shape[0]), [setting(value) for value in table.index])
    decimals = max(0, 2 - math.floor(math.log10(high - low))) if high > low else 3
    for i, j in ((i, j) for i in range(values.shape[0]) for j in range(values.shape[1])):
        if values.shape[1] <= WIDEST and values[i, j] == values[i, j]:
            dark = (values[i, j] - low) < 0.55 * (high - low)
            text = short(f"{values[i, j]:.{decimals}f}")
            axis.text(j, i, text, ha="center", va="center", color="white" if dark else "black", fontsize=6)
    return image
