"""``bie status``: how far a study has come."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.monitoring.study_status import StudyStatus
    from bie.store.paths import Tree

EVERY = 5.0  # seconds between two looks; longer where looking takes long
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
    from bie.monitoring.overview import as_json, as_text
    from bie.store.paths import find_tree, spelled

    tree = find_tree(options.tree, options.outputs)
    status = _look(tree)
    named = spelled(tree, options.tree, options.outputs)
    if options.watch:
        status = _watch(status, named)
    print(json.dumps(as_json(status)) if options.json else "\n".join(as_text(status, tree=named)))
    return 0 if status.going or all(run.state == "done" for run in status.runs) else 1


def _look(tree: "Tree", before: "StudyStatus | None" = None) -> "StudyStatus":
    from bie.monitoring.study_status import read_status

    status = read_status(tree, before)
    if not status.runs:
        raise BadInput(f"{tree.root}: no launch of this study noted a plan. {_instead(tree)}")
    return status


def _instead(tree: "Tree") -> str:
    """What to do where nothing was launched, which is so of records that were imported."""
    if next(tree.runs.glob("*/*/*/seed=*/record.json"), None) is None:
        return "Make one: python -m bie.run ..."
    return f"Its records came otherwise, as by --import; they are shown by: bie aggregate {tree.root}"


def _watch(status: "StudyStatus", named: str) -> "StudyStatus":
    """Look again and again, and show what changed; Ctrl-C ends it. The last look is returned."""
    from bie.execution.live import live_view
    from bie.monitoring.overview import as_text, counts
    from bie.monitoring.planned import titles

    names: dict[str, tuple[str, ...]] = {}
    with contextlib.suppress(KeyboardInterrupt), live_view(quiet_s=0) as view:
        while True:
            began = time.monotonic()
            if any(run.config_id not in names for run in status.runs):
                names = titles(status.launches)
            done = sum(run.state == "done" for run in status.runs)
            table = "\n".join(as_text(status, names, named))
            view.show(done / len(status.runs), counts(status), below=table)
            if not (status.going or status.slurm_error):
                return status
            time.sleep(max(EVERY, 4 * (time.monotonic() - began)))
            status = _look(status.tree, status)
    return status


if __name__ == "__main__":
    sys.exit(main())
