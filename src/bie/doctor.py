"""``bie doctor``: whether a run has all it needs here, and what to do where it has not."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bie.errors import guarded

_EPILOG = (
    "Exit code: 0 a run can start here (there may be warnings), 1 something that it needs is broken: as a "
    "line of a job's prologue it keeps runs off a broken node."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``doctor``."""
    options = _parser().parse_args(argv)
    return guarded(lambda: _doctor(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie doctor",
        description="Look at Python, packages, torch, GPU, kernels, Slurm and the disk; say what to do.",
        epilog=_EPILOG,
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where results would go")
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from bie.execution.processes import single_threaded

    single_threaded()  # as every run does
    from bie.diagnosis.report import as_json, as_text, diagnose

    rows = []
    for row in diagnose(options.outputs):
        rows.append(row)
        if not options.json:
            print(as_text(row), flush=True)
    found = as_json(rows)
    if options.json:
        print(json.dumps(found))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
