"""Whether the page of the last report would be the same now, told by stamps alone.

Pages of single runs hold histories and logs, of which no stamp is known: a page with them is made anew.
"""

from importlib.metadata import version
from pathlib import Path

from bie.analysis.figures import kept
from bie.analysis.files import Files
from bie.analysis.recall import Outcome, recall, remember, stamp
from bie.store.paths import Tree

NOTE = ".page.json"
"""In ``report/``: what the last page was made from, and what was said of it."""
MOST_RUNS = 5_000  # of more, the page has no pages of single runs
_PARTS = ("page.html.j2", "page.css", "page.js")


def last_page(tree: Tree, files: Files, maps: tuple[str, ...] | None, with_runs: bool) -> Outcome | None:
    """What was said of the page that is there, if it is the one that would be made now.

    Parameters
    ----------
    maps
        See `bie.analysis.figures.kept.made_from`; None for a page without figures.
    with_runs
        Whether each run is to have a page, unless there are too many.
    """
    if with_runs and len(files.ends) <= MOST_RUNS:
        return None
    outcome = recall(tree, _made_from(files, maps), NOTE)
    if outcome and maps is not None and kept.names(tree, kept.made_from(files, maps)) is None:
        return None
    return outcome


def note_page(
    tree: Tree, page: Path, files: Files, maps: tuple[str, ...] | None, sure: bool, said: Outcome
) -> None:
    """Note what a page was made from.

    Parameters
    ----------
    sure
        Whether it would be the same if it were made again; else it is made anew the next time.
    """
    made_from = _made_from(files, maps) if sure else None
    remember(tree, made_from, files.state, {page.name: stamp(page)}, said, NOTE)


def _made_from(files: Files, maps: tuple[str, ...] | None) -> str | None:
    digest = files.digest()
    parts = [Path(__file__).with_name(name).stat() for name in _PARTS]
    told = [*maps] if maps is not None else ["no figures"]
    told += [f"{part.st_size} {part.st_mtime_ns}" for part in parts]
    return digest and " ".join([digest, version("jinja2"), *told])
