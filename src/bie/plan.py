"""``python -m bie.plan``: what ``bie run -m`` would do, launching nothing."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie.errors import guarded
from bie.planning.request import local_workers, parser, tree_of, understand

if TYPE_CHECKING:
    from bie.planning.plan import Plan
    from bie.store.paths import Tree


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``plan``."""
    arguments = parser("bie plan", "What bie run -m would do with these overrides; launches nothing.")
    arguments.add_argument(
        "--json", action="store_true", help="runs, done, todo, dropped, jobs, waves as JSON"
    )
    arguments.add_argument(
        "--power", action="store_true", help="what difference these seeds can see, from studies that are done"
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
    seen = _power(plan, tree) if options.power else []
    if options.json:
        print(json.dumps(as_json(plan, jobs, waves) | ({"power": seen} if options.power else {})))
    else:
        notes = [*unsaved(plan, tree), *without_effect(expansion, plan), *expansion.notes]
        print("\n".join([*outline(plan, datasets), *notes, *how, forecast(plan, tree, at_work), *seen]))
    return 0


def _power(plan: "Plan", tree: "Tree") -> list[str]:
    """What each comparison of the plan can see, by what is known in the tree and in those beside it."""
    from bie.analysis.grid import BASELINE
    from bie.analysis.power import Design, power
    from bie.store.paths import studies_beside

    seeds = Counter(index for index, _ in plan.runs)
    designs = {
        Design(
            point.dataset,
            point.model,
            point.plain["dataset"]["sha256"],
            point.config.split.train_fraction,
            seeds[index],
        ): None
        for index, point in enumerate(plan.points)
        if point.model != BASELINE
    }
    return power(designs, studies_beside(tree)) or ["power: there is no model beside the baseline"]


if __name__ == "__main__":
    sys.exit(main())
