"""``bie logs``: what is known of one run, or why runs failed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bie.errors import guarded

_EPILOG = "Exit code: 0, or 2 where no run or several are meant."


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``logs``."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.failed and options.of is None:
        parser.error("name a run (its id or the beginning of it, or its folder), or ask for --failed")
    return guarded(lambda: _failed(options) if options.failed else _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie logs",
        description="State, failure and log of a run; with --failed all failures of a study by cause.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "of", nargs="?", metavar="RUN", help="id, beginning of it, or folder; with --failed: a study"
    )
    parser.add_argument("--failed", action="store_true", help="all failures, those of one cause together")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    return parser


def _run(options: argparse.Namespace) -> int:
    from bie.monitoring.logs import run_log
    from bie.monitoring.runs import find_run

    print("\n".join(run_log(*find_run(options.of, options.outputs))))
    return 0


def _failed(options: argparse.Namespace) -> int:
    from bie.monitoring.logs import report
    from bie.monitoring.study_status import read_status
    from bie.store.paths import find_tree, spelled

    given = Path(options.of) if options.of else None
    tree = find_tree(given, options.outputs)
    print("\n".join(report(read_status(tree, named=spelled(tree, given, options.outputs)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
