"""Means over a grid of settings: two settings span each map, the others tell the maps apart."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bie.analysis.figures.style import COLUMN, PAGE, panels, style
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


@dataclass(frozen=True)
class Grid:
    """Grid points of a model in which the same settings act.

    Attributes
    ----------
    keys
        Settings with two values or more among them, two at least, the one with the most values first.
    fixed
        What all of them share and others of the model do not, as one would type it.
    """

    model: str
    configs: tuple[str, ...]
    keys: tuple[str, ...]
    fixed: tuple[str, ...]


def grids(points: "pd.DataFrame") -> Iterator[Grid]:
    """Those of each model among some rows of `bie.analysis.study.Study.grid_points`."""
    settings = [str(key) for key in points.columns[2:]]
    for model, whole in points.groupby("model", sort=False):
        acting = ["".join(map(str, row)) for row in whole[settings].notna().astype(int).to_numpy()]
        for _, part in whole.groupby(acting, sort=False):
            counts = {key: part[key].dropna().nunique() for key in settings}
            keys = sorted((key for key, n in counts.items() if n > 1), key=lambda key: -counts[key])
            fixed = [key for key, n in counts.items() if n == 1 and whole[key].nunique(dropna=False) > 1]
            if len(keys) > 1:
                told = tuple(f"{key}={setting(part[key].iloc[0])}" for key in fixed)
                yield Grid(str(model), tuple(map(str, part.index)), tuple(keys), told)


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
        squares = max(rows[keys[0]].nunique(), 1)
        columns = max(1, min(3, WIDEST // squares))
        width = COLUMN if len(groups) == 1 and squares <= WIDEST // 2 else PAGE
        figure, axes = panels(len(groups), width, height=2.2, columns=columns)
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
