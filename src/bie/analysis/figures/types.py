"""Transport between batches within each cell type: a row for each type, a mark for each grid point."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bie.analysis.figures.style import COLUMN, legend_columns, panels, shades, style
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_POINTS = 12
MOST_TYPES = 40


def types(
    found: "pd.DataFrame", titles: Mapping[str, str], palette: Mapping[str, str] | None = None
) -> "Figure":
    """Draw the mean over the seeds, ±sd, of the OT ratio of each type, the largest over all points first.

    Parameters
    ----------
    found
        Rows of one data set and split of `bie.analysis.by_type.by_type`.
    titles
        Names of grid points by ``config_id``; those that have values are drawn, of which `MOST_POINTS` can be
        told apart.
    palette
        Colour of each model; None: `colours` of these models.
    """
    known = set(found["config_id"])
    shown = [config for config in titles if config in known]
    # not in the order of the first grid point, which may lack some
    rows = (-found.groupby("type")["mean"].mean()).sort_values(kind="stable").index[:MOST_TYPES].tolist()
    models = dict(zip(found["config_id"], found["model"], strict=True))
    shade = shades({config: models[config] for config in shown}, palette)
    step = 0.7 / max(len(shown), 1)
    with style():
        across = legend_columns([titles[config] for config in shown], COLUMN)
        below = 0.18 * -(-len(shown) // across)
        figure, (axis,) = panels(1, COLUMN, 0.7 + 0.05 * len(rows) * (len(shown) + 1), below=below)
        for i, config in enumerate(shown):
            of = found[found["config_id"] == config].set_index("type").reindex(rows)
            y = [row + (i - (len(shown) - 1) / 2) * step for row in range(len(rows))]
            look: dict[str, Any] = {"color": shade[config], "fmt": "o", "markersize": 3}
            axis.errorbar(of["mean"], y, xerr=of["sd"], label=titles[config], **look)
        axis.axvline(1, color="black", linewidth=0.6)
        axis.set_yticks(range(len(rows)), rows)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlabel(f"{CARDS['ot_ratio'].label} (1: mixed)")
        figure.legend(
            *axis.get_legend_handles_labels(), loc="outside lower center", ncols=across, columnspacing=1
        )
    return figure
