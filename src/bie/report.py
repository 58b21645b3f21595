"""``bie report``: a study as one page, with figures for papers beside it."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from types import ModuleType

    from bie.analysis.figures.kept import Shown
    from bie.analysis.files import Files
    from bie.analysis.page.build import Source
    from bie.analysis.study import Study
    from bie.store.paths import Tree

PAGE = "index.html"
_EPILOG = (
    "Exit code: 0 every run asked for is done, 1 some or all failed or are missing (the page is written all "
    "the same), 2 no runs at all, or report/ cannot be written."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``report``."""
    options = _parser().parse_args(argv)
    return guarded(lambda: _serve(options) if options.serve else _report(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie report",
        description="A study as one HTML page: verdicts, tables, figures, runs; figures as PNG and PDF.",
        epilog=_EPILOG,
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="study; default: the newest")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    parser.add_argument("--no-runs", action="store_true", help="without a page for each run")
    parser.add_argument("--no-figures", action="store_true", help="without figures")
    parser.add_argument(
        "--map", default="tsne", metavar="METHODS", help="of saved embeddings: tsne (the default), umap, pca"
    )
    parser.add_argument(
        "--map-of",
        metavar="RUNS",
        help="ids of the runs whose saved embeddings stand side by side, or beginnings of them: "
        "'b420aa,7139534'; default: the first grid point of each model, at the first seed",
    )
    parser.add_argument(
        "--sheet", metavar="NAMES", help="figures to put together, in rows: 'means*,trade_off*'"
    )
    parser.add_argument(
        "--crate", action="store_true", help="ro-crate-metadata.json too: the study as RO-Crate"
    )
    parser.add_argument("--mlflow", action="store_true", help="the runs in a store of MLflow too")
    parser.add_argument("--wandb", action="store_true", help="the runs for Weights & Biases too, offline")
    parser.add_argument("--serve", action="store_true", help="show it on 127.0.0.1, up to date, until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of --serve; default: any that is free")
    return parser


def _report(options: argparse.Namespace) -> int:
    from bie.analysis.files import look
    from bie.analysis.page.made import last_page
    from bie.store.paths import find_tree

    tree = find_tree(options.tree, options.outputs)
    files = look(tree)  # before anything is read
    outcome = last_page(tree, files, _drawn(options), not options.no_runs)
    if outcome is None or _is_more(options):
        return _anew(options, tree, files)
    print(outcome.text)
    return outcome.exit_code


def _is_more(options: argparse.Namespace) -> bool:
    """Whether something else than the page is asked for."""
    return bool(options.sheet or options.crate or options.mlflow or options.wandb)


def _drawn(options: argparse.Namespace) -> tuple[str, ...] | None:
    """Methods of the maps of embeddings and the runs, as typed; None where no figure is drawn."""
    return None if options.no_figures else (*dict.fromkeys(options.map.split(",")), *_names(options.map_of))


def _names(typed: str | None) -> tuple[str, ...]:
    """What was typed with commas between: beginnings of the ids of runs, names of figures."""
    return tuple(dict.fromkeys(filter(None, (typed or "").split(","))))


def _anew(options: argparse.Namespace, tree: "Tree", files: "Files") -> int:
    """Read the study, write its page, and what else is asked for."""
    from bie.analysis.page.build import build
    from bie.analysis.page.made import MOST_RUNS, note_page
    from bie.analysis.recall import Outcome
    from bie.store.record import as_json, write_file

    maps = _maps(options.map)
    trackers = _trackers(options)
    chosen = _names(options.map_of)
    shown, sheet = (not options.no_runs, not options.no_figures), _names(options.sheet)
    source = read_source(tree, files, *shown, maps=maps, chosen=chosen, sheet=sheet)
    tree.report.mkdir(parents=True, exist_ok=True)
    write_file(tree.report / PAGE, build(source).encode())
    has_none = options.no_figures or not any(tree.report.glob("*.pdf"))  # no run may be done
    figures = "" if has_none else "; figures for papers beside it: *.png, *.pdf"
    study = source.results.study
    complete = bool((study.runs["state"] == "done").all())
    outcome = Outcome(f"Written: {tree.report / PAGE}{figures}", 0 if complete else 1)
    sure = study.all_read and (options.no_runs or len(study.runs) > MOST_RUNS)
    note_page(tree, tree.report / PAGE, files, _drawn(options), sure, outcome)
    print(outcome.text)
    if sheet:
        _sheet(tree, sheet)
    for tracker in trackers:
        _track(tracker, tree, study)
    if options.crate:  # last: it names the files of the report too
        from bie.analysis.crate import METADATA, crate

        write_file(tree.root / METADATA, as_json(crate(tree, study)))
        print(f"Written: {tree.root / METADATA}: the folder is an RO-Crate, which can be zipped as it is")
    return outcome.exit_code


def _maps(typed: str) -> tuple[str, ...]:
    from bie.analysis.figures.maps import METHODS

    for name in typed.split(","):
        if name not in METHODS:
            raise BadInput(f"--map {name}: there is none. There are: {', '.join(METHODS)}")
    return tuple(dict.fromkeys(typed.split(",")))


def _trackers(options: argparse.Namespace) -> "list[ModuleType]":
    """Those that are asked for, `bie.analysis.tracking`; all are installed."""
    from bie.analysis.tracking import to_mlflow, to_wandb

    asked = [each for each in (to_mlflow, to_wandb) if getattr(options, each.FOLDER)]
    for each in asked:
        each.check()
    return asked


def _track(tracker: "ModuleType", tree: "Tree", study: "Study") -> None:
    from bie.analysis.tracking.runs import tracked_runs

    place, added, there = tracker.export(tracked_runs(tree, study), study.name, tree.report)
    print(f"Written: {place}: {added:,} runs, {there:,} were there. {tracker.then(place)}")


def _sheet(tree: "Tree", patterns: Sequence[str]) -> None:
    from bie.analysis.figures.sheet import DPI, NAME, chosen, sheet
    from bie.analysis.figures.style import save

    for path in save(sheet(chosen(tree.report, patterns)), tree.report, NAME, DPI):
        print(f"Written: {path}")


def read_source(
    tree: "Tree",
    files: "Files",
    with_runs: bool = True,
    figures: bool = True,
    write: bool = True,
    maps: tuple[str, ...] = ("tsne",),
    chosen: tuple[str, ...] = (),
    sheet: Sequence[str] = (),
) -> "Source":
    """Read a study, compare, draw.

    Parameters
    ----------
    files
        `bie.analysis.files.look` at it.
    write
        Whether figures are put into ``report/`` too.
    maps
        How latent vectors are drawn, keys of `bie.analysis.figures.maps.METHODS`.
    chosen
        Beginnings of the ids of the runs whose latent vectors are drawn; none: one run of each model.
    sheet
        Names of figures that are to be put together.

    Raises
    ------
    BadInput
        No run was ever asked for, or there is none that is chosen, or no figure of such a name.
    """
    from bie.analysis.figures.saving import names, pictures
    from bie.analysis.figures.sheet import chosen as chosen_pictures
    from bie.analysis.page.build import Source
    from bie.analysis.results import results_of
    from bie.analysis.study import read_study
    from bie.analysis.view import HEADLINE

    study = read_study(tree, files)
    if not len(study.runs):
        raise BadInput(f"{tree.root}: no run was asked for yet. Run the study first: python -m bie.run ...")
    results = results_of(study)
    if sheet:  # what there is not is said before anything is drawn or written
        chosen_pictures(tree.report, sheet, names(tree, results, maps, chosen) if figures else ())
    drawn = pictures(tree, files, results, write, maps, chosen) if figures else []
    return Source(tree, results, HEADLINE, drawn, shlex.quote(str(tree.root)), with_runs)


def _serve(options: argparse.Namespace) -> int:
    from bie.analysis.figures.saving import pictures
    from bie.analysis.page.build import build
    from bie.analysis.page.serve import Kept, serve
    from bie.store.paths import find_tree

    tree, maps, chosen = find_tree(options.tree, options.outputs), _maps(options.map), _names(options.map_of)
    runs, figures = not options.no_runs, not options.no_figures
    drawn = list["Shown"]()

    def make(files: "Files", version: str, draw: bool) -> str:
        source = read_source(tree, files, runs, figures=False)
        if draw:
            drawn[:] = pictures(tree, files, source.results, False, maps, chosen)
        return build(replace(source, pictures=drawn), live=version)

    serve(Kept(tree, make, figures), options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
