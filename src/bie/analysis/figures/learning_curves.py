"""Every loss term by epoch, mean and spread over the seeds."""

from typing import TYPE_CHECKING

from bie.analysis.figures.style import PAGE, legend_columns, panels, shades, style
from bie.analysis.headings import label, unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_LINES = 8
DASHES = {"train": "--", "test": "-"}


def terms(history: "pd.DataFrame") -> list[str]:
    """Loss terms of a history, without ``train_`` and ``test_``, in the order of its columns."""
    parts = (str(name).partition("_") for name in history.columns)
    return list(dict.fromkeys(term for split, _, term in parts if split in DASHES and term))


def learning_curves(history: "pd.DataFrame") -> "Figure":
    """Draw a panel for each loss term: the mean over the seeds, one standard deviation around it.

    Parameters
    ----------
    history
        Rows of ``history.csv`` of many runs, with three columns more: ``title`` and ``model`` of the grid
        point, of more than `MOST_LINES` the first, and ``seed``.
    """
    from matplotlib.ticker import MaxNLocator

    models = dict(zip(history["title"], history["model"], strict=True))
    shown = list(models)[:MOST_LINES]
    palette = shades({title: models[title] for title in shown})
    found = terms(history)
    with style():
        figure, axes = panels(len(found), height=1.7, columns=3, below=0.8, sharex=True)
        for axis, term in zip(axes, found, strict=True):
            for title, split in ((title, split) for title in shown for split in DASHES):
                name = f"{split}_{term}"
                if name not in history or history.loc[history["title"] == title, name].isna().all():
                    continue
                by_epoch = history[history["title"] == title].dropna(subset=[name]).groupby("epoch")[name]
                mean, sd = by_epoch.mean(), by_epoch.std(ddof=1).fillna(0)
                named = title if split == "test" else None
                axis.plot(mean.index, mean, DASHES[split], color=palette[title], linewidth=1, label=named)
                axis.fill_between(
                    mean.index, mean - sd, mean + sd, color=palette[title], alpha=0.15, linewidth=0
                )
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
            figure.suptitle("test cells —, train cells - -; mean and sd over seeds", fontsize=8)
    return figure
