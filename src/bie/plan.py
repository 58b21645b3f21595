"""``python -m bie.plan``: what ``bie run -m`` would do, launching nothing."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from bie.errors import guarded
from bie.planning.request import local_workers, parser, tree_of, understand


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``plan``."""
    arguments = parser("bie plan", "What bie run -m would do with these overrides; launches nothing.")
    arguments.add_argument(
        "--json", action="store_true", help="runs, done, todo, dropped, jobs, waves as JSON"
    )
    options = arguments.parse_intermixed_args(argv)
    return guarded(lambda: _plan(options))


def _plan(options: argparse.Namespace) -> int:
    from bie.config import Local
    from bie.launching.launch import describe, share_out, workers
    from bie.planning.datasets import Datasets
    from bie.planning.forecast import forecast, seconds_per_run
    from bie.planning.outline import as_json, outline, unsaved, without_effect
    from bie.planning.plan import make_plan

    expansion = understand(options.overrides, options.config_dir)
    tree, datasets = tree_of(expansion), Datasets()
    plan = make_plan(expansion.combinations, datasets.content, tree)
    launcher = expansion.settings.hydra.launcher
    if isinstance(launcher, Local):
        at_work = local_workers(launcher, len(plan.todo))
        jobs, waves, how = min(at_work, len(plan.todo)), min(1, len(plan.todo)), []
    else:
        counts = Counter(plan.points[index].config_id for index, _ in plan.todo)
        seconds = {plan.points[index].config_id: s for index, s in seconds_per_run(plan, tree).items()}
        share, limits = share_out(expansion.settings, counts, seconds)
        at_work = max(1, min(workers(expansion.settings), len(plan.todo)))
        jobs, waves, how = share.n_tasks, len(share.waves), [describe(share, expansion.settings, limits)]
    if options.json:
        print(json.dumps(as_json(plan, jobs, waves)))
    else:
        notes = [*unsaved(plan, tree), *without_effect(expansion, plan), *expansion.notes]
        print("\n".join([*outline(plan, datasets), *notes, *how, forecast(plan, tree, at_work)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
