"""What a penalty buys and what it costs: fronts of two metrics with bands over the seeds."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bie.analysis.figures.style import COLUMN, colours, legend_columns, panels, style
from bie.analysis.fronts import attained
from bie.analysis.headings import with_unit
from bie.analysis.numbers import hundredths
from bie.analysis.paired import Numbers
from bie.analysis.titles import shortened
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]
"""Left, low, right and high end."""
LONGEST = 40  # characters of a model's name: a line of the legend
FEW_POINTS = 16  # grid points that do not hide each other
CORNERS = ((3, 3), (-3, 3), (3, -8), (-3, -8))
"""Where a name may stand: points from its dot to its near lower end."""
WIDTH, HIGH = 3.8, 5  # points of a letter of a name
ARROW = 0.07  # of the axes
MOST_DOTS = 5_000  # above, the dots of the runs are a picture in the vector file: else it is slow to open


def trade_off(
    values: "pd.DataFrame",
    x: str,
    y: str,
    names: Mapping[str, str] | None = None,
    palette: Mapping[str, str] | None = None,
    controls: Collection[str] = (),
) -> "Figure":
    """Draw each run as a dot, and for each model the front that half of the seeds attain.

    The front is `bie.analysis.fronts.attained` at 50 %, its band between 25 and 75 %: what the best grid
    points of a model reach together, at one seed. A model with one grid point has no front.

    Parameters
    ----------
    values
        A row per run: ``model``, ``config_id``, ``seed``, and a column for each of the two metrics.
    x, y
        Metrics with a direction.
    names
        What to write at the means, by ``config_id``, such as the strength of the penalty.
    palette
        Colour of each model; None: `colours` of these models.
    controls
        Models that do not set the limits of the axes where there are grid points of others: at a corner they
        would press all of these together. An arrow points to one that lies beyond, the legend says where.
    """
    found = values.dropna(subset=[x, y])
    palette = palette or colours([str(name) for name in found["model"].unique()])
    size = 5 if found["config_id"].nunique() <= FEW_POINTS else 3
    names_of = {str(model): shortened(str(model), LONGEST) for model in found["model"].unique()}
    is_control = found["model"].isin(controls)
    do_not_set = set(controls) if found.loc[~is_control, "config_id"].nunique() > 1 else set()
    widest = [name + " (.00, .00)" * (model in do_not_set) for model, name in names_of.items()]
    across = legend_columns(widest, COLUMN)
    with style():
        labels: list[tuple[tuple[float, float], str, str]] = []
        figure, (axis,) = panels(1, width=COLUMN, height=3.2 + 0.16 * -(-len(names_of) // across))
        parts = sorted(found.groupby("model", sort=False), key=lambda named: named[0] in do_not_set)
        for model, part in parts:
            colour = palette[str(model)]
            if model in do_not_set:
                axis.set(xlim=axis.get_xlim(), ylim=axis.get_ylim())
            dots = axis.plot(part[x], part[y], ".", color=colour, alpha=0.35, markersize=4)
            dots[0].set_rasterized(len(found) > MOST_DOTS)
            means = part.groupby("config_id", sort=False)[[x, y]].mean()
            name = names_of[str(model)]
            if model in do_not_set:
                name += "".join(_beyond(axis, at, colour) for at in means.to_numpy(float))
            axis.plot(means[x], means[y], "o", color=colour, markersize=size, label=name)
            labels += [(tuple(at), (names or {}).get(str(c), ""), colour) for c, at in means.iterrows()]
        axis.set(xlim=axis.get_xlim(), ylim=axis.get_ylim())  # to which bands reach that have no other end
        for model, part in parts:
            if part["config_id"].nunique() > 1:
                _front(axis, part, x, y, palette[str(model)])
        _name(axis, labels)
        axis.set(xlabel=with_unit(x), ylabel=with_unit(y))
        figure.legend(
            loc="outside upper center", fontsize=7, ncols=across, columnspacing=1, handletextpad=0.2
        )
    return figure


def _beyond(axis: "Axes", at: Numbers, colour: str) -> str:
    """Point with an arrow to what lies beyond the axes, and say where; nothing of what lies within."""
    place = axis.transAxes.inverted().transform(axis.transData.transform(at))
    edge = place.clip(0, 1)
    away = float(np.linalg.norm(place - edge))
    if not away:
        return ""
    start, end = (tuple(each.tolist()) for each in (edge - ARROW / away * (place - edge), edge))
    look = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, xycoords="axes fraction", textcoords="axes fraction", arrowprops=look)
    return f" ({hundredths(at[0])}, {hundredths(at[1])})"


def _name(axis: "Axes", labels: Sequence[tuple[tuple[float, float], str, str]]) -> None:
    """Write a name beside each point, at that of its corners where it hides least of points and other names.

    Parameters
    ----------
    labels
        Of each point: where it is, its name, its colour.
    """
    import matplotlib.patheffects as effects

    halo = [effects.withStroke(linewidth=1.5, foreground="white")]
    axis.autoscale_view()
    places = axis.transData.transform([at for at, _, _ in labels]) * 72 / axis.figure.dpi
    taken = [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in places]
    for (at, text, colour), (x, y) in zip(labels, places, strict=True):
        if not text:
            continue
        wide = WIDTH * len(text)
        boxes = {
            (dx, dy): (left := x + dx - wide * (dx < 0), y + dy, left + wide, y + dy + HIGH)
            for dx, dy in CORNERS
        }
        best = min(CORNERS, key=lambda corner: sum(_shared(boxes[corner], other) for other in taken))
        taken.append(boxes[best])
        axis.annotate(
            text, at, best, textcoords="offset points", ha="right" if best[0] < 0 else "left",
            fontsize=6, color=colour, path_effects=halo,
        )  # fmt: skip


def _shared(one: Box, other: Box) -> float:
    """Area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(up, 0.0)


def _front(axis: "Axes", part: "pd.DataFrame", x: str, y: str, colour: str) -> None:
    signs = np.array([-1.0 if CARDS[name].direction == "lower" else 1.0 for name in (x, y)])
    surfaces = attained(part[[x, y]].to_numpy(dtype=float) * signs, part["seed"].to_numpy())
    worst = float(np.min(np.array(axis.get_ylim()) * signs[1])) * signs[1]
    reach = np.unique(np.concatenate([surface[:, 0] for surface in surfaces.values()]))[::-1]
    few, half, most = (_steps(surface, reach) * signs[1] for surface in surfaces.values())
    outer = np.where(np.isnan(most), worst, most)
    across = reach * signs[0]
    axis.fill_between(across, few, outer, step="post", color=colour, alpha=0.15, linewidth=0)
    axis.step(across, half, where="post", color=colour, zorder=1.9)  # below the dots of all models


def _steps(surface: Numbers, at: Numbers) -> Numbers:
    """Second coordinate that is attained where the first is `at`; NaN where none is."""
    place = np.searchsorted(-surface[:, 0], -at, side="right")
    return np.concatenate([[np.nan], surface[:, 1]])[place]
