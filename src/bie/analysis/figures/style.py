"""One look for all figures: readable at a column's width, colours that everybody can tell apart."""

import contextlib
import io
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.grid import BASELINE
from bie.analysis.headings import heading, label, unit
from bie.analysis.numbers import short
from bie.store.record import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.5, 7.2  # inches: a column and the text of a journal's page
DPI = 200
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c510a")
"""Okabe & Ito 2008 without black, which is the baseline's, and yellow, too pale for lines on white."""
MODELS = {
    BASELINE: "#000000",
    "scvi_mine": COLOURS[0],
    "scvi_mmd": COLOURS[1],
    "adversarial": COLOURS[2],
    "scvi_hsic": COLOURS[3],
    "scvi_club": COLOURS[4],
    "scvi_rce": COLOURS[5],
    "scvi_orthogonal": COLOURS[7],
}
"""The penalties' own, so that each has one colour in all figures, whatever else they show."""
HANDLE, CHARACTER = 0.55, 0.068
"""Inches of a legend: the mark before a name, and a letter of it."""
SHORT, LONG = 16, 40  # characters of a row's name
PALEST = 0.6
"""White in the palest shade of a colour, which is still seen as a line on white."""
MOST_ROWS = 40  # grid points in one figure of rows

_RC: dict[str, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.dpi": DPI,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # text in the file stays text
    "svg.fonttype": "path",
    "svg.hashsalt": "bie",  # the same figure, the same file
    "text.parse_math": False,  # a dollar sign in somebody's label is a dollar sign
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw and save in the look of bie; matplotlib's own settings are as before afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _RC.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def panels(
    n: int, width: float = PAGE, height: float = 2.4, columns: int = 4, below: float = 0.0, **shared: Any
) -> "tuple[Figure, list[Axes]]":
    """Figure of `n` axes in rows of `columns` at most.

    Parameters
    ----------
    width, height, below
        Inches: of the figure, of a row of axes, of what stands below them.
    """
    from matplotlib.figure import Figure

    across = max(1, min(n, columns))
    down = -(-max(n, 1) // across)
    figure = Figure(figsize=(width, height * down + below), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, **shared).ravel()
    for axis in axes[n:]:
        axis.set_visible(False)
    return figure, list(axes[:n])


def across(n: int, names: Sequence[str]) -> int:
    """How many of `n` panels stand beside each other: five where that saves a row and leaves room to read.

    Parameters
    ----------
    names
        Of the rows, which stand at the left.
    """
    narrow = max(map(len, names), default=0) <= SHORT
    return 5 if narrow and -(-n // 5) < -(-n // 4) else 4


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, the models' own where they have one."""
    rest = [colour for colour in COLOURS if colour not in {MODELS.get(name) for name in names}] or [*COLOURS]
    others = [name for name in names if name not in MODELS]
    return MODELS | {name: rest[i % len(rest)] for i, name in enumerate(others)}


def shades(models: Mapping[str, str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """A colour for each grid point: its model's own, the darker the later among those of that model.

    Where there is one model alone, grid points have colours of their own as far as there are as many.

    Parameters
    ----------
    models
        Model of each grid point, in their order.
    own
        Colour of each model; None: `colours` of these models.
    """
    own, found = own or colours(list(dict.fromkeys(models.values()))), dict[str, str]()
    if len(set(models.values())) == 1 < len(models) <= len(COLOURS):
        return dict(zip(models, COLOURS, strict=False))
    for model in dict.fromkeys(models.values()):
        points = [point for point in models if models[point] == model]
        for i, point in enumerate(reversed(points)):
            found[point] = _paler(own[model], PALEST * i / max(len(points) - 1, 1))
    return {point: found[point] for point in models}


def _paler(colour: str, white: float) -> str:
    """Colour with a share of white.

    >>> _paler("#0072b2", 0.5)
    '#80b8d8'
    """
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + white * (255 - part)):02x}" for part in parts)


def legend_columns(names: Sequence[str], width: float) -> int:
    """How many names stand beside each other in a legend.

    Parameters
    ----------
    width
        Inches.
    """
    longest = max(map(len, names), default=0)
    return max(1, min(len(names), int(width / (HANDLE + CHARACTER * longest))))


def head(axis: "Axes", metric: str, names: Sequence[str]) -> None:
    """Put the metric above an axis of its values and the unit below; where it is narrow, in shorter lines.

    Lines end between words; a word that is longer than a line makes the letters smaller.

    Parameters
    ----------
    names
        Of the rows, which stand at the left.
    """
    is_narrow = max(map(len, names), default=0) > LONG
    name, length = label(metric), 12 if is_narrow else 16
    title = textwrap.fill(name, length, break_long_words=False) + heading(metric).removeprefix(name)
    room = length + 2  # for the arrow too
    size = _RC["axes.titlesize"] * min(1, room / max(map(len, title.split("\n"))))
    axis.set_title(title, fontsize=size)
    axis.set_xlabel(unit(metric))
    axis.locator_params(axis="x", nbins=2 if is_narrow else 3)
    axis.xaxis.set_major_formatter(_tick)


def _tick(value: float, _: float) -> str:
    """Number at an axis, as in the tables: three in a row fit below a narrow panel.

    >>> _tick(-0.25, 0.0), _tick(0.0, 1.0), _tick(2000.0, 2.0)
    ('−.25', '0', '2000')
    """
    return short(f"{value:.6g}").replace("-", "\u2212")


def boxes(axis: "Axes", y: Any, left: Any, right: Any, height: float, **look: Any) -> None:
    """Draw a bar at each of `y` from `left` to `right`: one artist, where ``barh`` has as many as bars."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    low, high = np.asarray(y) - height / 2, np.asarray(y) + height / 2
    corners = np.stack([left, low, right, low, right, high, left, high], axis=-1).astype(float)
    found = PolyCollection(list(corners.reshape(-1, 4, 2)), linewidths=0, **look)
    found.sticky_edges.x[:] = np.unique(corners[:, 0])  # an axis may end where bars begin
    axis.add_collection(found)
    axis.autoscale_view()


def as_svg(figure: "Figure") -> bytes:
    """The figure as an SVG without dates."""
    return _saved(figure, "svg", metadata={"Date": None})


def save(figure: "Figure", folder: Path, name: str, dpi: int = DPI) -> list[Path]:
    """Write ``name.png`` and ``name.pdf`` into a folder, each whole or not at all."""
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    write_file(paths[0], _saved(figure, "png", dpi=dpi))
    write_file(paths[1], _saved(figure, "pdf", dpi=dpi, metadata={"CreationDate": None}))
    return paths


def _saved(figure: "Figure", form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands in its place
        figure.savefig(buffer, format=form, **options)
        figure.set_layout_engine(None)  # all is in its place: the other forms need not draw to find it
    return buffer.getvalue()
