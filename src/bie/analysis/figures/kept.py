"""The figures that a report made, so that the next one draws them anew only if anything has changed."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from bie.analysis.files import Files
from bie.analysis.recall import Stamp, stamp
from bie.store.paths import Tree
from bie.store.record import as_json, read, write_file

MADE = ".figures.json"
"""In ``report/``: which figures the last report made, and from what."""

Shown = tuple[str, str, bytes]
"""Stem of its files, caption and SVG of a figure."""


def made_from(files: Files, maps: Sequence[str]) -> str | None:
    """What the figures of a study depend on, but for the files that they read besides; None: not for sure.

    Parameters
    ----------
    maps
        Methods by which latent vectors are drawn.
    """
    digest = files.digest()
    return digest and f"{digest} {','.join(maps)} {version('matplotlib')} {find_spec('openTSNE') is not None}"


def names(tree: Tree, sources: str | None) -> list[tuple[str, str]] | None:
    """Stem and caption of the last report's figures, if they would be the same now.

    They, and what they read, are untouched; None where that is not so.
    """
    note = read(tree.report / MADE) or {}
    if sources is None or note.get("sources") != sources:
        return None
    if any(_stamp(tree.root / name) != found for name, found in note["files"].items()):
        return None
    return [(name, caption) for name, caption in note["figures"]]


def kept(tree: Tree, sources: str | None) -> list[Shown] | None:
    """Figures of the last report, if they would be the same now."""
    known = names(tree, sources)
    if known is None:
        return None
    return [(name, caption, _svg(tree, name).read_bytes()) for name, caption in known]


def keep(tree: Tree, sources: str | None, figures: Sequence[Shown], also_read: Iterable[Path]) -> None:
    """Note what was made, and remove what an earlier report made and this one did not.

    Parameters
    ----------
    also_read
        Histories and embeddings, whether there are any or not.
    """
    noted = (read(tree.report / MADE) or {}).get("figures")
    before = {each if isinstance(each, str) else each[0] for each in noted or ()}
    for name in before - {name for name, _, _ in figures}:
        if Path(name).name == name:  # whatever stands in that file, nothing outside is touched
            for path in _files(tree, name):
                path.unlink(missing_ok=True)
    for name, _, svg in figures:
        write_file(_svg(tree, name), svg)
    made = [path for name, _, _ in figures for path in _files(tree, name)]
    stamps = {path.relative_to(tree.root).as_posix(): _stamp(path) for path in (*made, *also_read)}
    captions = [(name, caption) for name, caption, _ in figures]
    write_file(tree.report / MADE, as_json({"sources": sources, "figures": captions, "files": stamps}))


def _svg(tree: Tree, name: str) -> Path:
    return tree.report / f".{name}.svg"


def _files(tree: Tree, name: str) -> list[Path]:
    return [tree.report / f"{name}.png", tree.report / f"{name}.pdf", _svg(tree, name)]


def _stamp(path: Path) -> Stamp | None:
    return stamp(path) if path.is_file() else None
