"""Chosen pictures of a study together, two in a row."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from bie.analysis.figures.style import PAGE, style
from bie.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "sheet"
COLUMNS = 2
TITLE = 0.25  # inches
DPI = 400  # a picture is made for a whole page and has half of it here


def chosen(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Pictures (PNG) in a folder whose names fit, in the order of the patterns.

    Parameters
    ----------
    patterns
        Names without their ending, with ``*`` and ``?``.

    Raises
    ------
    BadInput
        A pattern that no picture fits.
    """
    there = {path.stem: path for path in sorted(folder.glob("*.png")) if path.stem != NAME}
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
    """Draw pictures two in a row, each with its name above."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    images = [imread(path) for path in pictures]
    rows = [images[start : start + COLUMNS] for start in range(0, len(images), COLUMNS)]
    heights = [TITLE + PAGE / COLUMNS * max(image.shape[0] / image.shape[1] for image in row) for row in rows]
    with style():
        figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
        grid = figure.subplots(len(rows), COLUMNS, squeeze=False, height_ratios=heights)
        for axis in grid.ravel():
            axis.set_axis_off()
        for axis, image, path in zip(grid.ravel(), images, pictures, strict=False):
            axis.imshow(image)
            axis.set_title(path.stem)
    return figure
