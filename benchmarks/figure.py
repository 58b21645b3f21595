"""Figures of the documentation, drawn with matplotlib, which only benchmarks need."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Lines = Mapping[str, Mapping[float, float]]
"""By name of a line: y by x, all above 0."""


def panels(n: int) -> tuple[Figure, list[Axes]]:
    """Axes side by side."""
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "bie"})  # the same figure, the same file
    figure, axes = plt.subplots(1, n, figsize=(3.7 * n, 3.4), layout="constrained", squeeze=False)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def save(figure: Figure, path: Path) -> None:
    """Write a file whose form its suffix tells."""
    figure.savefig(path, metadata={"Date": None})


def draw(path: Path, growth: Mapping[str, Lines], y_label: str) -> None:
    """Lines over logarithmic axes, a panel for each x, whose name is its key."""
    figure, axes = panels(len(growth))
    seen = [y for lines in growth.values() for line in lines.values() for y in line.values()]
    bottom, top = min(seen) / 1.3, max(seen) * 1.3  # the same for all, so that they can be compared
    for axis, (x_label, lines) in zip(axes, growth.items(), strict=True):
        for name, line in lines.items():
            axis.loglog(sorted(line), [line[x] for x in sorted(line)], "o-", markersize=4, label=name)
        sizes = sorted({x for line in lines.values() for x in line})
        axis.set_xticks(sizes, [f"{x:,}" for x in sizes])
        axis.set_xticks([], minor=True)
        axis.set(xlabel=x_label, ylim=(bottom, top))
    axes[0].set_ylabel(y_label)
    axes[0].legend(frameon=False)
    save(figure, path)
