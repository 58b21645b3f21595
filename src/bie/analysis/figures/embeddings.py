"""Latent spaces of several models side by side, the same cells, coloured by batch and by type."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bie.analysis.figures.maps import Map
from bie.analysis.figures.style import PAGE, style
from bie.analysis.titles import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Codes = Sequence[str]

MOST_CELLS = 4_000
MOST_NAMES = 20  # in a legend


def embeddings(
    maps: Mapping[str, Map], colourings: Mapping[str, Codes], axis_name: str = "t-SNE"
) -> "Figure":
    """Draw a column for each model and a row for each colouring.

    Parameters
    ----------
    maps
        Coordinates of the cells by title of the model, each of shape (n, 2), the same cells in one order.
    colourings
        Names of the batch, of the type, ... of each cell.
    """
    from matplotlib.figure import Figure

    with style():
        width = min(PAGE, 1.2 + 1.8 * len(maps))
        side = (width - 1.2) / len(maps)  # of a map
        figure = Figure(figsize=(width, (side + 0.1) * len(colourings) + 0.5), layout="constrained")
        axes = figure.subplots(len(colourings), len(maps), squeeze=False)
        for row, (name, codes) in enumerate(colourings.items()):
            order = sorted(set(map(str, codes)))
            palette = category_colours(order)
            for axis, (title, at) in zip(axes[row], maps.items(), strict=True):
                axis.scatter(
                    *at.T, s=2, c=[palette[str(code)] for code in codes], linewidths=0, rasterized=True
                )
                axis.set(xticks=[], yticks=[], title=textwrap.fill(title, 20) if row == 0 else "")
                axis.set_aspect("equal", adjustable="datalim")
                axis.spines[:].set_visible(False)
            axes[row][0].set_ylabel(f"by {name}")
            _legend(axes[row][-1], palette)
        axes[-1][0].set_xlabel(f"{axis_name} 1, 2", loc="left", fontsize=7)
    return figure


def _legend(axis: "Axes", palette: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    shown = list(palette)[:MOST_NAMES]
    dots = [Line2D([], [], color=palette[name], marker="o", linestyle="none", markersize=4) for name in shown]
    names = [shortened(name, 24) for name in shown]
    if len(palette) > len(shown):
        dots.append(Line2D([], [], linestyle="none"))
        names.append(f"and {len(palette) - len(shown)} more")
    axis.legend(dots, names, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=6)


def category_colours(names: Sequence[str]) -> dict[str, str]:
    """Scanpy's colours for categories, in its order: sorted names, the palette chosen by their number."""
    from scanpy.plotting import palettes

    fitting = (palettes.default_20, palettes.default_28, palettes.default_102)
    palette = next((colours for colours in fitting if len(names) <= len(colours)), palettes.default_102)
    return {name: palette[i % len(palette)] for i, name in enumerate(names)}
