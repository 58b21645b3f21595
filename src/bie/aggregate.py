"""``bie aggregate``: records -> tables."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.analysis.files import Files
    from bie.analysis.recall import Outcome
    from bie.analysis.results import Results
    from bie.analysis.study import Study
    from bie.analysis.view import View
    from bie.store.paths import Tree

_BASELINE, _MARGINS = "study.baseline", "study.margins."
_EPILOG = """\
settings (KEY=VALUE), also of bie.run, whose newest launch of the study has them for its tables:
  study.baseline=ROW       what all rows are compared with: a model, a config_id, settings
                           ('study.baseline=scvi_mine mine.scale=50'); by default the first scvi row
  study.margins.METRIC=X   differences up to here mean nothing, so that rows can be equal: in the unit of the
                           metric, or a share of the baseline (0.5%), or null; defaults: conf/config.yaml
what is printed; the files in report/ hold everything:
  --by model/mine.scale    rows/columns/facets, each one setting or several with commas between
  --where mine.scale=50,150 --where dataset=zinb --metrics ari,be --split test,train
  --format latex           for \\input, with booktabs
old results:
  outputs/v1/old --import DIR [--import DIR ...]
                           reads the *_ClusterMetric.csv of 2019 below DIR as records of this study, which
                           is made if need be: data sets pbmc_2019, retina_2019 beside the others;
                           bie status and logs speak of what was launched, and so not of these

Exit code: 0 every run asked for is done, 1 some or all failed or are missing, or with --check the tables are
older than the records, 2 bad input, no runs at all, or report/ cannot be written (the tables are printed all
the same). What the marks mean: docs/verdict.md."""


@dataclass(frozen=True)
class Question:
    """What rows are compared with, and by which margins; None or empty: as the study's settings say."""

    baseline: str | None = None
    margins: Mapping[str, str | None] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Write ``report/`` of a study and print its tables of the test cells."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _aggregate(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie aggregate",
        description="Tables of a study: mean±sd over seeds; is a row better than the baseline, how sure?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="TREE KEY=VALUE", help="study (default: the newest), settings"
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    parser.add_argument("--by", metavar="ROWS/COLUMNS/FACETS", help="settings that make the table")
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="rows to print")
    parser.add_argument("--metrics", help="columns to print: names, all, scib, or headline (the default)")
    parser.add_argument("--split", help="cells to print: test (the default), train, or test,train")
    parser.add_argument("--rescale", action="store_true", help="0 the worst of the controls, 1 the best")
    parser.add_argument("--format", choices=["text", "markdown", "latex"], default="text")
    parser.add_argument("--import", dest="old", action="append", type=Path, metavar="DIR", help="see below")
    parser.add_argument("--check", action="store_true", help="only say whether the tables are up to date")
    parser.add_argument(
        "--csv", action="store_true", help="runs.csv of a large study too: 200 bytes a number"
    )
    return parser


def _aggregate(options: argparse.Namespace) -> int:
    from bie.analysis.files import look
    from bie.analysis.recall import recall
    from bie.store.paths import find_tree

    given, question = _understood(options.words)
    if options.old:
        _import(options.old, given)
    tree = find_tree(given, options.outputs)
    files = look(tree)  # before anything is read: what changes meanwhile is another report's
    if options.check:
        return _check(tree, files)
    made_from = _made_from(files, question)
    outcome = recall(tree, made_from)
    lacks_csv = options.csv and not (tree.report / "runs.csv").is_file()
    if outcome is None or lacks_csv or _is_own(options):
        return _anew(options, tree, files, question, outcome)
    _say(outcome.text)
    return outcome.exit_code


def _import(folders: Sequence[Path], given: Path | None) -> None:
    from bie.analysis.import_2019 import import_study
    from bie.store.paths import Tree

    if given is None:
        raise BadInput(
            f"--import {folders[0]}: name the study that takes the records: bie aggregate TREE --import DIR"
        )
    print("\n".join(import_study(folders, Tree(given))))


def _understood(words: Sequence[str]) -> tuple[Path | None, Question]:
    """Tree and settings among what was typed."""
    trees = [word for word in words if not (word.startswith("study.") and "=" in word)]
    if len(trees) > 1:
        raise BadInput(
            f"{', '.join(trees)}: one study at a time; settings are study.baseline=, study.margins."
        )
    typed = dict(word.split("=", 1) for word in words if word not in trees)
    for key in typed:
        if key != _BASELINE and not key.startswith(_MARGINS):
            raise BadInput(f"{key} is not a setting of the tables. There are: {_BASELINE}, {_MARGINS}METRIC")
    values = {key: None if value == "null" else value.strip("'\"") for key, value in typed.items()}
    margins = {key.removeprefix(_MARGINS): value for key, value in values.items() if key != _BASELINE}
    return Path(trees[0]) if trees else None, Question(values.get(_BASELINE), margins)


def _made_from(files: "Files", question: Question) -> str | None:
    digest = files.digest()
    return digest and f"{digest} {question}"


def _is_own(options: argparse.Namespace) -> bool:
    """Whether something else than the usual table is asked for."""
    shown = (options.by, options.where, options.metrics, options.split, options.rescale)
    return any(shown) or options.format != "text"


def _check(tree: "Tree", files: "Files") -> int:
    from bie.analysis.recall import outdated

    why = outdated(tree, files.state)
    if why:
        print(f"{tree.report}: {why}. Make them anew: bie aggregate {tree.root}", file=sys.stderr)
        return 1
    print(f"{tree.report}: the tables are those of the records")
    return 0


def _anew(
    options: argparse.Namespace,
    tree: "Tree",
    files: "Files",
    question: Question,
    outcome: "Outcome | None",
) -> int:
    """Read the study, write its report unless that is up to date, and print what is asked for."""
    # pandas takes a second to import: not for --help, nor for a report that is recalled
    from bie.analysis.results import results_of
    from bie.analysis.study import read_study
    from bie.analysis.view import points, read_view

    view = read_view(options.by, options.where, options.metrics, options.split, options.rescale)
    study = read_study(tree, files)
    if nothing := _nothing_done(study, tree.root):
        print(nothing, file=sys.stderr)
        return 1
    points(study, view)  # a condition that no row meets is bad input, before anything is written
    results = results_of(study, question.baseline, question.margins)
    text = _shown(results, view, options.format) if _is_own(options) else None
    csv = options.csv and not (tree.report / "runs.csv").is_file()
    if outcome is None or csv:
        outcome = _write(tree, results, files, question, options.csv, text)
    _say(outcome.text if text is None else text)
    return outcome.exit_code


def _shown(results: "Results", view: "View", form: str) -> str:
    from bie.analysis.paired_tables import across_tables
    from bie.analysis.render import as_latex, as_markdown, as_text
    from bie.analysis.trade_off_text import as_lines
    from bie.analysis.trade_offs import trade_offs
    from bie.analysis.view import View
    from bie.analysis.wide import wide_tables
    from bie.seeds import SEEDS

    results = results if view.names & set(SEEDS) else results.for_people
    if view == View():  # the files have these too
        tables = [table for table in results.tables if table.title.rpartition(", ")[2].startswith("test ")]
    else:
        tables = list(wide_tables(results, view))
    if form != "text":
        return as_latex(tables) if form == "latex" else as_markdown(results.study.name, tables)
    if view.where:  # what follows is about all rows
        return "\n\n".join(map(as_text, tables))
    over = across_tables(results, view.splits[:1])
    sweeps = trade_offs(results.study, split=view.splits[0], baseline=results.baseline)
    fronts = ["\n".join(as_lines(found)) for found in sweeps]
    return "\n\n".join([*(as_text(table) for table in [*tables, *over]), *fronts])


def _write(
    tree: "Tree", results: "Results", files: "Files", question: Question, csv: bool, printed: str | None
) -> "Outcome":
    """Write the report from the records."""
    from bie.analysis.recall import Outcome, remember
    from bie.analysis.report import CSV_ROWS, begin_report, n_numbers
    from bie.analysis.variance import variance_texts
    from bie.analysis.view import View

    study = results.study
    csv = csv or n_numbers(study) <= CSV_ROWS
    end = begin_report(tree.report, results, csv)
    usual = "\n\n".join([_shown(results, View(), "text"), *variance_texts(study)])
    runs = "runs.{parquet,csv}" if csv else "runs.parquet (runs.csv only with --csv)"
    written = f"{tree.report}/{runs}, {tree.report}/{{summary,paired}}.{{csv,md,tex}}"
    complete = bool((study.runs["state"] == "done").all())
    outcome = Outcome(f"{usual}\nWritten: {written}", 0 if complete else 1)
    try:
        stamps = end()
        sure = _made_from(files, question) if study.all_read else None
        remember(tree, sure, files.state, stamps, outcome)
    except OSError as error:
        _say(printed or usual)  # the study may be another's, or the disk full: there are the tables still
        error.filename = error.filename or str(tree.report)  # pyarrow and a full disk do not say which
        raise
    return outcome


def _say(text: str) -> None:
    from bie.analysis.terminal import fitting

    print(fitting(text, sys.stdout.encoding))


def _nothing_done(study: "Study", root: Path) -> str | None:
    """What to do about a study without a single record; None where there is one."""
    states = study.runs["state"].value_counts()
    if "done" in states:
        return None
    if not len(states):
        raise BadInput(f"{root}: no run was asked for yet. Run the study first: python -m bie.run ...")
    found = ", ".join(f"{n} {state}" for state, n in states.items())
    look = f"Why: bie logs {root} --failed" if "failed" in states else f"How it stands: bie status {root}"
    return f"{root}: no run is done yet ({found}). {look}. Again: bie retry {root}"


if __name__ == "__main__":
    sys.exit(main())
