"""Chosen pictures of a study together: two in a row, or one as wide as the page."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.analysis.figures.style import COLUMN, PAGE, style
from bie.analysis.figures.style import DPI as DRAWN_AT
from bie.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

NAME = "sheet"
COLUMNS = 2
WIDE = 1.5 * COLUMN * DRAWN_AT
"""Dots across: a picture that is wider is made for the width of a page, and is illegible in half of it."""
TITLE = 0.25  # inches
DPI = 400  # so that no dot of a picture is lost


def chosen(folder: Path, patterns: Sequence[str], drawn: Sequence[str] = ()) -> list[Path]:
    """Pictures (PNG) in a folder whose names fit, in the order of the patterns.

    Parameters
    ----------
    patterns
        Names without their ending, with ``*`` and ``?``.
    drawn
        Names of pictures that are not there yet but will be.

    Raises
    ------
    BadInput
        A pattern that no picture fits.
    """
    all_there = {*folder.glob("*.png"), *(folder / f"{name}.png" for name in drawn)}
    there = {path.stem: path for path in sorted(all_there) if path.stem != NAME}
    found: dict[str, Path] = {}
    for pattern in patterns:
        fitting = {stem: path for stem, path in there.items() if path.match(f"{pattern}.png")}
        if not fitting:
            near = get_close_matches(pattern, there, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise BadInput(
                f"--sheet {pattern}: no picture in {folder} is that.{hint} There are: {', '.join(there)}"
            )
        found |= fitting
    return list(found.values())


def sheet(pictures: Sequence[Path]) -> "Figure":
    """Draw pictures two in a row, those as wide as a page one, each with its name above."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    images = [imread(path) for path in pictures]
    rows = _rows([image.shape[1] > WIDE for image in images])
    heights = [TITLE + max(_height(images[i]) for i in row) for row in rows]
    with style():
        figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(rows), COLUMNS, height_ratios=heights)
        for line, row in enumerate(rows):
            for column, i in enumerate(row):
                is_wide = images[i].shape[1] > WIDE
                axis = figure.add_subplot(grid[line, :] if is_wide else grid[line, column])
                axis.set_axis_off()
                axis.imshow(images[i])
                axis.set_title(pictures[i].stem)
    return figure


def _height(image: "NDArray[Any]") -> float:
    """Inches of a picture as wide as its place."""
    high, wide = float(image.shape[0]), float(image.shape[1])
    return PAGE / (1 if wide > WIDE else COLUMNS) * high / wide


def _rows(wide: Sequence[bool]) -> list[list[int]]:
    """Places of pictures, in their order.

    >>> _rows([False, False, False, True, False])
    [[0, 1], [2], [3], [4]]
    """
    rows: list[list[int]] = []
    for i, is_wide in enumerate(wide):
        if rows and not is_wide and not wide[rows[-1][0]] and len(rows[-1]) < COLUMNS:
            rows[-1].append(i)
        else:
            rows.append([i])
    return rows
