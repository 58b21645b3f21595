"""``bie aggregate``: records -> tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.analysis.recall import Outcome
    from bie.analysis.study import Study
    from bie.store.paths import Tree

_EPILOG = (
    "Exit code: 0 every run asked for is done, 1 some or all failed or are missing, 2 no runs at all, or "
    "report/ cannot be written (the tables are printed all the same)."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Write ``report/`` of a study and print its tables of the test cells."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _aggregate(arguments.tree, arguments.outputs, arguments.csv))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie aggregate", description="Tables of a study: mean±sd over seeds.", epilog=_EPILOG
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="study; default: the newest")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    parser.add_argument(
        "--csv", action="store_true", help="runs.csv of a large study too: 200 bytes a number"
    )
    return parser


def _aggregate(given: Path | None, outputs: Path, csv: bool) -> int:
    from bie.analysis.files import look
    from bie.analysis.recall import recall
    from bie.analysis.study import read_study
    from bie.store.paths import find_tree

    tree = find_tree(given, outputs)
    files = look(tree)  # before anything is read: what changes meanwhile is another report's
    made_from = files.digest()
    outcome = recall(tree, made_from)
    if outcome is None or (csv and not (tree.report / "runs.csv").is_file()):
        study = read_study(tree, files)
        if nothing := _nothing_done(study, tree.root):
            print(nothing, file=sys.stderr)
            return 1
        outcome = _make(study, tree, made_from, csv)
    print(outcome.text)
    return outcome.exit_code


def _make(study: "Study", tree: "Tree", made_from: str | None, csv: bool) -> "Outcome":
    """Write the report from the records."""
    # pandas takes a second to import: not for --help, nor for a report that is recalled
    from bie.analysis.parse import SPLITS
    from bie.analysis.recall import Outcome, remember
    from bie.analysis.render import as_text
    from bie.analysis.report import CSV_ROWS, n_numbers, write_report
    from bie.analysis.tidy import summarise
    from bie.analysis.wide import wide_tables

    summary = summarise(study)
    tables = {split: list(wide_tables(study, summary, split)) for split in SPLITS}
    texts = "\n\n".join(as_text(table) for table in tables["test"])
    csv = csv or n_numbers(study) <= CSV_ROWS
    runs = "runs.{parquet,csv}" if csv else "runs.parquet (runs.csv only with --csv)"
    written = f"Written: {tree.report}/{runs}, {tree.report}/summary.{{csv,md,tex}}"
    complete = bool((study.runs["state"] == "done").all())
    outcome = Outcome(f"{texts}\n{written}", 0 if complete else 1)
    try:
        files = write_report(tree.report, study, summary, [*tables["test"], *tables["train"]], csv)
        if made_from is not None and study.all_read:
            remember(tree, made_from, files, outcome)
    except OSError as error:
        print(texts)  # the study may be another's, or the disk full: there are the tables still
        error.filename = error.filename or str(tree.report)  # pyarrow and a full disk do not say which
        raise
    return outcome


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
