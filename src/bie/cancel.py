"""``bie cancel``: stop what is queued or running of a study, and nothing else."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bie.errors import guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``cancel``."""
    parser = argparse.ArgumentParser(
        prog="bie cancel", description="Cancel what is queued or running of a study; results stay."
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="study; default: the newest")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    options = parser.parse_args(argv)
    return guarded(lambda: _cancel(options))


def _cancel(options: argparse.Namespace) -> int:
    from bie.cluster.cancelling import cancel
    from bie.store.paths import find_tree

    tree = find_tree(options.tree, options.outputs)
    lines = list(cancel(tree))
    print("\n".join(lines or [f"nothing of {tree.root} is queued or running"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
