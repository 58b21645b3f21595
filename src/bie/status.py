"""``bie status``: how far a study has come."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.monitoring.study_status import StudyStatus
    from bie.store.paths import Tree

_EPILOG = (
    "Exit code: 0 all runs are done or more are under way, 1 some failed or are missing, 2 no such study."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``status``."""
    options = _parser().parse_args(argv)
    return guarded(lambda: _status(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie status", description="Runs done, running, queued and failed, by grid point.", epilog=_EPILOG
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="study; default: the newest")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="until nothing is running or queued")
    how.add_argument("--json", action="store_true", help="the table as JSON")
    return parser


def _status(options: argparse.Namespace) -> int:
    from bie.monitoring.overview import as_json, as_text, watch
    from bie.store.paths import find_tree, spelled

    tree = find_tree(options.tree, options.outputs)
    status = _look(tree, spelled(tree, options.tree, options.outputs))
    if options.watch:
        status = watch(status)
    print(json.dumps(as_json(status)) if options.json else "\n".join(as_text(status)))
    return 0 if status.going or all(run.state == "done" for run in status.runs) else 1


def _look(tree: "Tree", named: str) -> "StudyStatus":
    from bie.monitoring.study_status import read_status

    status = read_status(tree, named=named)
    if not status.runs:
        raise BadInput(f"{tree.root}: no launch of this study noted a plan. {_instead(tree)}")
    return status


def _instead(tree: "Tree") -> str:
    """What to do where nothing was launched, which is so of records that were imported."""
    if next(tree.runs.glob("*/*/*/seed=*/record.json"), None) is None:
        return "Make one: python -m bie.run ..."
    return f"Its records came otherwise, as by --import; they are shown by: bie aggregate {tree.root}"


if __name__ == "__main__":
    sys.exit(main())
