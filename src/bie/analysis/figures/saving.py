"""Draw figures and put them into their files, several at a time: this is most of what a report takes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bie.analysis.figures.kept import Shown
from bie.analysis.figures.material import Chapter, Material
from bie.analysis.figures.style import as_svg, save
from bie.analysis.processes import in_order

Drawn = tuple[list[Shown], list[Path]]
"""Figures, and the histories and embeddings that were looked for."""


def saved(
    material: Material, chapters: Iterable[Chapter], folder: Path | None, n_processes: int | None = None
) -> Iterator[Shown]:
    """Put each figure as PNG and PDF into a folder, if there is one; what the page shows of them.

    Parameters
    ----------
    n_processes
        See `in_order`; the files are the same for each number.
    """

    def draw(chapter: Chapter) -> Drawn:
        own = replace(material, seen=[])
        shown = []
        for picture in chapter(own):
            svg = as_svg(picture.figure)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                save(picture.figure, folder, picture.name)
            shown.append((picture.name, picture.caption, svg))
        return shown, own.seen

    return _noted(in_order(draw, chapters, n_processes), material)


def _noted(drawn: Iterator[Drawn], material: Material) -> Iterator[Shown]:
    for shown, seen in drawn:
        material.seen.extend(seen)
        yield from shown
