"""What the runs took: time and memory, by model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bie.analysis.figures.style import LONG, MOST_ROWS, colours, panels, style
from bie.analysis.titles import shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = {
    "total_s": "time of a run (s)",
    "fit_s": "of which training (s)",
    "peak_rss_mib": "peak memory (MiB)",
}


def cost(timing: "pd.DataFrame", palette: Mapping[str, str] | None = None) -> "Figure":
    """Draw a panel for each quantity of `PANELS` that was recorded: a box over the runs of each model.

    Parameters
    ----------
    timing
        A row per finished run: ``dataset``, ``model``, ``device`` and times as
        `bie.analysis.study.Study.timing` has them. Where there are several data sets or devices, runs on
        each have boxes of their own.
    palette
        Colour of each model; None: `colours` of these models.
    """
    row = timing["model"].astype(str)
    if timing["dataset"].nunique() > 1:
        row = timing["dataset"].astype(str) + " " + row
    if timing["device"].nunique() > 1:
        row = row + " on " + timing["device"].astype(str)
    groups = dict(list(timing.groupby(row, sort=False))[:MOST_ROWS])
    shown = [name for name in PANELS if name in timing and timing[name].notna().any()]
    palette = palette or colours([str(name) for name in timing["model"].unique()])
    with style():
        figure, axes = panels(len(shown), height=0.8 + 0.28 * len(groups), columns=3, sharey=True)
        for axis, name in zip(axes, shown, strict=True):
            values = [part[name].dropna().to_numpy() for part in groups.values()]
            drawn = axis.boxplot(
                values,
                orientation="horizontal",
                widths=0.5,
                patch_artist=True,
                flierprops={"markersize": 2},
                medianprops={"color": "black"},
            )
            for box, part in zip(drawn["boxes"], groups.values(), strict=True):
                box.set(facecolor=palette[str(part["model"].iloc[0])], alpha=0.4)
            axis.set_xlabel(PANELS[name])
            axis.set_xlim(0, 1.05 * timing[name].max() or 1.0)  # else boxes far from 0 lie on the edge
        if axes:
            axes[0].set_yticks(range(1, len(groups) + 1), [shortened(name, LONG) for name in groups])
            axes[0].invert_yaxis()
    return figure
