"""``bie cancel``: stop what is queued or running of a study, and nothing else."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bie.errors import guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``cancel``."""
    parser = argparse.ArgumentParser(
        prog="bie cancel",
        description="Cancel what is queued or running of a study; results stay.",
        epilog="Exit code: 0, also where nothing was to be cancelled; 1 if Slurm does not answer.",
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="study; default: the newest")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    options = parser.parse_args(argv)
    return guarded(lambda: _cancel(options))


def _cancel(options: argparse.Namespace) -> int:
    from bie.launching.slurm import SlurmError
    from bie.monitoring.steering import cancel
    from bie.store.paths import find_tree

    tree = find_tree(options.tree, options.outputs)
    lines = []
    try:
        for line in cancel(tree):
            print(line, flush=True)
            lines.append(line)
    except SlurmError as error:
        print(f"its jobs are not cancelled, Slurm does not answer: {error}", file=sys.stderr)
        return 1
    if not lines:
        print(f"nothing of {tree.root} is queued or running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
