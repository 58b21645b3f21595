"""Every loss term by epoch, mean and spread over the seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bie.analysis.figures.style import PAGE, legend_columns, panels, shades, style
from bie.analysis.headings import label, unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 12  # a baseline and some strengths of each of four penalties
DASHES = {"train": "--", "test": "-"}
EARLY = 0.1
CUT = "heights fit the epochs after the first tenth"


def terms(history: "pd.DataFrame") -> list[str]:
    """Loss terms of a history, without ``train_`` and ``test_``, in the order of its columns."""
    parts = (str(name).partition("_") for name in history.columns)
    return list(dict.fromkeys(term for split, _, term in parts if split in DASHES and term))


def learning_curves(
    history: "pd.DataFrame", of: str = "cells", palette: Mapping[str, str] | None = None
) -> "Figure":
    """Draw a panel for each loss term: the mean over the seeds, one standard deviation around it.

    Parameters
    ----------
    history
        Rows of ``history.csv`` of many runs, with three columns more: ``title`` and ``model`` of the grid
        point, of more than `MOST_LINES` the first, and ``seed``.
    palette
        Colour of each model; None: `colours` of these models.
    """
    from matplotlib.ticker import MaxNLocator

    models = dict(zip(history["title"], history["model"], strict=True))
    shown = list(models)[:MOST_LINES]
    shade = shades({title: models[title] for title in shown}, palette)
    found = terms(history)
    with style():
        figure, axes = panels(len(found), height=1.7, columns=3, below=0.8, sharex=True)
        for axis, term in zip(axes, found, strict=True):
            for title in shown:
                _lines(axis, history[history["title"] == title], term, title, shade[title])
            _fit(axis)
            axis.set_title(label(term).replace("_", " "))
            axis.set_ylabel(unit("elbo" if term == "loss" else term), fontsize=7)
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axis in axes[-3:]:
            axis.set_xlabel("epoch")
            axis.tick_params(labelbottom=True)  # also where the row below is not full
        if axes:
            handles = {h.get_label(): h for axis in axes for h in axis.lines if h.get_label() in shown}
            across = legend_columns(shown, PAGE)
            figure.legend(handles=handles.values(), loc="outside lower center", ncols=across)
            figure.suptitle(f"test {of} —, train {of} - -; mean and sd over seeds; {CUT}", fontsize=8)
    return figure


def _lines(axis: "Axes", history: "pd.DataFrame", term: str, title: str, colour: str) -> None:
    """Mean and spread of a term of a grid point, of both splits where they are known."""
    for split, dashes in DASHES.items():
        name = f"{split}_{term}"
        if name not in history or history[name].isna().all():
            continue
        by_epoch = history.dropna(subset=[name]).groupby("epoch")[name]
        mean, sd = by_epoch.mean(), by_epoch.std(ddof=1).fillna(0)
        named = title if split == "test" else None
        axis.plot(mean.index, mean, dashes, color=colour, linewidth=1, label=named)
        axis.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)


def _fit(axis: "Axes") -> None:
    """Fit the height to what comes after `EARLY` of the epochs: the first ones would flatten all others."""
    import numpy as np

    corners = [path.vertices for band in axis.collections for path in band.get_paths()]
    points = np.concatenate(corners) if corners else np.empty((0, 2))
    late = points[points[:, 0] >= EARLY * points[:, 0].max(initial=0), 1]
    late = late[np.isfinite(late)]
    if late.size and late.max() > late.min():
        room = 0.05 * (late.max() - late.min())
        axis.set_ylim(late.min() - room, late.max() + room)
