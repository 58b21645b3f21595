"""Paired differences from the baseline with both intervals: of these cells, of new cells."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bie.analysis.figures.style import MOST_ROWS, across, boxes, head, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICTS = {
    "better": ("#0072b2", "^"),
    "worse": ("#d55e00", "v"),
    "equal": ("#009e73", "s"),
    "open": ("#7f7f7f", "o"),
    "": ("#7f7f7f", "o"),
}
"""Colour and marker, so that a verdict is told without colour too."""


def forest(
    compared: "pd.DataFrame", titles: Mapping[str, str], metrics: Sequence[str], of: str = "cells"
) -> "Figure":
    """Draw a panel for each metric: the mean difference from the baseline, 95 % intervals, the margin.

    Parameters
    ----------
    compared
        As `bie.analysis.compare` returns it, of one data set and one split.
    titles
        Of the grid points by ``config_id``; of more than `MOST_ROWS` the first are drawn.
    of
        What the data set is of, in the plural.
    """
    is_shown = compared["metric"].isin(metrics) & compared["mean"].notna()  # no pair, no mean
    known = set(compared.loc[is_shown, "config_id"])
    rows = [config for config in titles if config in known][:MOST_ROWS]
    with style():
        names = [titles[row] for row in rows]
        columns = across(len(metrics), names)
        height = 0.85 + 0.2 * len(rows)
        figure, axes = panels(len(metrics), height=height, columns=columns, below=0.5, sharey=True)
        for axis, metric in zip(axes, metrics, strict=True):
            _panel(axis, compared[compared["metric"] == metric].set_index("config_id").reindex(rows))
            head(axis, metric, names)
        if axes:
            axes[0].set_yticks(range(len(rows)), names)
            axes[0].set_ylim(len(rows) - 0.5, -0.5)
            figure.legend(handles=_legend(of), loc="outside lower center", ncols=4)
            figure.suptitle("mean paired difference from the baseline", fontsize=8)
    return figure


def _panel(axis: "Axes", found: "pd.DataFrame") -> None:
    found = found.assign(y=range(len(found)))[found["mean"].notna()]
    with_margin = found[found["margin"].notna()]
    margin = with_margin["margin"]
    boxes(axis, with_margin["y"], -margin, margin, 0.8, color="#eeeeee", zorder=0)
    colours = [VERDICTS[verdict][0] for verdict in found["verdict"]]
    axis.hlines(found["y"], found["low_new"], found["high_new"], colors=colours, linewidth=0.9, zorder=2)
    axis.hlines(found["y"], found["low"], found["high"], colors=colours, linewidth=3.2, zorder=2)
    for verdict, own in found.groupby("verdict", sort=False):
        colour, marker = VERDICTS[str(verdict)]
        axis.plot(own["mean"], own["y"], marker, color=colour, markersize=5, markeredgecolor="white")
    axis.axvline(0, color="black", linewidth=0.8)


def _legend(of: str) -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Line2D([], [], color=VERDICTS[name][0], marker=VERDICTS[name][1], linestyle="none", label=name)
        for name in ("better", "worse", "equal", "open")
    ]
    thick = Line2D([], [], color="black", linewidth=3.2, label=f"95 %, these {of}")
    thin = Line2D([], [], color="black", linewidth=0.9, label=f"95 %, new {of}")
    return [*marks, thick, thin, Patch(color="#eeeeee", label="margin")]
