"""Draw figures and put them into their files, several at a time: this is most of what a report takes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bie.analysis.figures.gallery import chapters, gallery
from bie.analysis.figures.kept import Shown, keep, kept, made_from
from bie.analysis.figures.latent import find_chosen
from bie.analysis.figures.material import Chapter, Material
from bie.analysis.figures.style import as_svg, save
from bie.analysis.files import Files
from bie.analysis.processes import in_order
from bie.analysis.results import Results
from bie.analysis.view import HEADLINE
from bie.store.paths import Tree

Drawn = tuple[list[Shown], list[Path]]
"""Figures, and the histories and embeddings that were looked for."""


def pictures(
    tree: Tree, files: Files, results: Results, write: bool, maps: tuple[str, ...], chosen: tuple[str, ...]
) -> Iterable[Shown]:
    """Figures of a study, drawn only where those of the last report would differ.

    Those are on their way into their files when this returns.

    Parameters
    ----------
    write
        Whether they are put into ``report/``.
    maps, chosen
        See `Material`.

    Raises
    ------
    BadInput
        There is no run that is chosen.
    """
    find_chosen(results.study.runs, chosen)  # what there is not is said before anything is drawn
    sources = made_from(files, (*maps, *chosen))
    found = kept(tree, sources)
    if found is not None:
        return found
    material = _material(tree, results, maps, chosen)
    drawn = saved(material, chapters(material), tree.report if write else None)
    return _kept(tree, sources if results.study.all_read else None, drawn, material) if write else drawn


def names(tree: Tree, results: Results, maps: tuple[str, ...], chosen: tuple[str, ...]) -> list[str]:
    """Stems of the files of the figures that `pictures` would draw."""
    return [picture.name for picture in gallery(_material(tree, results, maps, chosen))]


def _material(tree: Tree, results: Results, maps: tuple[str, ...], chosen: tuple[str, ...]) -> Material:
    return Material(tree, results.study, results.summary, results.comparison, HEADLINE, maps, chosen)


def _kept(tree: Tree, sources: str | None, drawn: Iterable[Shown], material: Material) -> Iterator[Shown]:
    """Figures when all are in their files, noted for the next report."""
    found = list(drawn)
    if tree.report.is_dir():
        keep(tree, sources, found, material.seen)
    yield from found


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

    return _seen(in_order(draw, chapters, n_processes), material)


def _seen(drawn: Iterator[Drawn], material: Material) -> Iterator[Shown]:
    for shown, seen in drawn:
        material.seen.extend(seen)
        yield from shown
