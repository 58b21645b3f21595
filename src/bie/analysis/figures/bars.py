"""Mean and spread of metrics, train and test cells beside each other: the bar plots of the 2019 study."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bie.analysis.figures.style import COLOURS, MOST_ROWS, across, boxes, head, panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SPLITS = {"train": "#999999", "test": COLOURS[0]}
THICK = 0.38


def bars(
    summary: "pd.DataFrame", titles: Mapping[str, str], metrics: Sequence[str], of: str = "cells"
) -> "Figure":
    """Draw a panel for each metric, in it two bars for each grid point, with ±sd over the seeds.

    Parameters
    ----------
    summary
        As `bie.analysis.tidy.summarise` returns it, of one data set.
    titles
        Of the grid points by ``config_id``, in the order of the rows; of more than `MOST_ROWS` the first.
    of
        What the data set is of, in the plural.
    """
    rows = list(titles)[:MOST_ROWS]
    with style():
        names = [titles[row] for row in rows]
        columns = across(len(metrics), names)
        height = 0.85 + 0.2 * len(rows)
        figure, axes = panels(len(metrics), height=height, columns=columns, below=0.3, sharey=True)
        for axis, metric in zip(axes, metrics, strict=True):
            own = summary[summary["metric"] == metric].set_index(["split", "config_id"])
            for place, (split, colour) in enumerate(SPLITS.items()):
                values = own.loc[split].reindex(rows) if split in own.index else own.reindex([])
                y, mean, sd = np.arange(len(values)) + (place - 0.5) * THICK, values["mean"], values["sd"]
                boxes(axis, y, 0 * mean, mean, THICK, color=colour, label=f"{split} {of}")
                axis.hlines(y, mean - sd, mean + sd, colors="black", linewidth=0.8)
            head(axis, metric, names)
            axis.axvline(0, color="black", linewidth=0.6)
        if axes:
            axes[0].set_yticks(range(len(rows)), names)
            axes[0].set_ylim(len(rows) - 0.4, -0.6)
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
            figure.suptitle("mean and sd over seeds", fontsize=8)
    return figure
