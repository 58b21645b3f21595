"""What a penalty buys and what it costs: fronts of two metrics with bands over the seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.analysis.figures.style import COLUMN, colours, panels, style, with_unit
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = NDArray[np.float64]
BAND = (25.0, 50.0, 75.0)
"""Per cent of the seeds whose front reaches so far."""


def trade_off(values: "pd.DataFrame", x: str, y: str) -> "Figure":
    """Draw each run as a dot, and for each model the front that half of the seeds attain.

    The front is the empirical attainment function at 50 %, its band between 25 and 75 % (Fonseca et al. 2001;
    López-Ibáñez et al. 2010): what the best grid points of a model reach together, at one seed. A model with
    one grid point has no front.

    Parameters
    ----------
    values
        A row per run: ``model``, ``config_id``, ``seed``, and a column for each of the two metrics.
    x, y
        Metrics with a direction.
    """
    found = values.dropna(subset=[x, y])
    palette = colours([str(name) for name in found["model"].unique()])
    with style():
        figure, (axis,) = panels(1, width=COLUMN, height=3.4)
        for model, part in found.groupby("model", sort=False):
            colour = palette[str(model)]
            axis.plot(part[x], part[y], ".", color=colour, alpha=0.35, markersize=4)
            means = part.groupby("config_id", sort=False)[[x, y]].mean()
            axis.plot(means[x], means[y], "o", color=colour, markersize=5, label=model)
            if len(means) > 1:
                _front(axis, part, x, y, colour)
        axis.set(xlabel=with_unit(x), ylabel=with_unit(y))
        axis.legend(loc="best", fontsize=7)
    return figure


def _front(axis: "Axes", part: "pd.DataFrame", x: str, y: str, colour: str) -> None:
    signs = np.array([1.0 if CARDS[name].direction == "lower" else -1.0 for name in (x, y)])
    surfaces = attained(part[[x, y]].to_numpy(dtype=float) * signs, part["seed"].to_numpy())
    worst = float(np.max(np.array(axis.get_ylim()) * signs[1])) * signs[1]
    reach = np.unique(np.concatenate([surface[:, 0] for surface in surfaces.values()]))
    heights = {level: _steps(surface, reach) * signs[1] for level, surface in surfaces.items()}
    outer = np.where(np.isnan(heights[BAND[2]]), worst, heights[BAND[2]])
    across = reach * signs[0]
    axis.fill_between(across, heights[BAND[0]], outer, step="post", color=colour, alpha=0.15, linewidth=0)
    axis.step(across, heights[BAND[1]], where="post", color=colour)


def attained(points: Points, seeds: NDArray[np.int64]) -> Mapping[float, Points]:
    """Points that a share of the seeds attains or beats in both coordinates; smaller is better.

    Returns
    -------
    dict
        For each level of `BAND` (per cent) the corners of the surface, by growing first coordinate.
    """
    import moocore

    levels = moocore.eaf(points, np.unique(seeds, return_inverse=True)[1] + 1, percentiles=list(BAND))
    found = {level: levels[np.isclose(levels[:, 2], level), :2] for level in BAND}
    return {level: corners[np.argsort(corners[:, 0])] for level, corners in found.items()}


def _steps(surface: Points, at: Points) -> Points:
    """Second coordinate that is attained where the first is `at`; NaN where none is."""
    place = np.searchsorted(surface[:, 0], at, side="right")
    return np.concatenate([[np.nan], surface[:, 1]])[place]
