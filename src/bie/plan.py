"""``python -m bie.plan``: what ``bie run -m`` would do, launching nothing."""

import argparse
import json
import sys
from collections.abc import Sequence

from bie.errors import guarded
from bie.sweep.request import n_workers, parser, tree_of, understand


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``plan``."""
    arguments = parser("bie plan", "What bie run -m would do with these overrides; launches nothing.")
    arguments.add_argument(
        "--json", action="store_true", help="runs, done, todo, dropped, jobs, waves as JSON"
    )
    options = arguments.parse_intermixed_args(argv)
    return guarded(lambda: _plan(options))


def _plan(options: argparse.Namespace) -> int:
    from bie.sweep.datasets import Datasets
    from bie.sweep.forecast import forecast
    from bie.sweep.outline import as_json, outline
    from bie.sweep.plan import make_plan

    expansion = understand(options.overrides, options.config_dir)
    tree, datasets = tree_of(expansion), Datasets()
    plan = make_plan(expansion.combinations, datasets.content, tree)
    workers = n_workers(expansion, len(plan.todo))
    if options.json:
        print(json.dumps(as_json(plan, workers)))
    else:
        print("\n".join([*outline(plan, datasets), forecast(plan, tree, workers)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
