"""Put figures into their files, several at a time: this is most of what a report takes."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from bie.analysis.figures.kept import Shown
from bie.analysis.figures.material import Picture
from bie.analysis.figures.style import as_svg, save
from bie.analysis.processes import in_order


def saved(
    pictures: Iterable[Picture], folder: Path | None, n_processes: int | None = None
) -> Iterator[Shown]:
    """Put each picture as PNG and PDF into a folder, if there is one; what the page shows of them.

    Parameters
    ----------
    n_processes
        See `in_order`; the files are the same for each number.
    """
    return in_order(partial(_shown, folder), pictures, n_processes)


def _shown(folder: Path | None, picture: Picture) -> Shown:
    svg = as_svg(picture.figure)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        save(picture.figure, folder, picture.name)
    return picture.name, picture.caption, svg
