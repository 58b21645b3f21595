"""``python -m bie.run``: one experiment, or with ``-m`` a sweep.

Overrides are Hydra's: ``model=scvi,scvi_mine mine.scale=1000,5000 'seed=range(100)'``.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded
from bie.planning.request import check_device, needs_workers, one_run_here, parser, tree_of, understand

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from bie.planning.expand import Expansion


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``run``."""
    arguments = parser("bie run", "One experiment, or with -m a sweep.")
    arguments.add_argument("--cfg", choices=["job"], help="print the configuration, run nothing")
    typed = list(sys.argv[1:] if argv is None else argv)
    options = arguments.parse_intermixed_args(typed)
    return guarded(lambda: _run(options, typed))


def _run(options: argparse.Namespace, typed: list[str]) -> int:
    from bie.execution.server import single_threaded, warm_up

    single_threaded()
    context = warm_up("one") if one_run_here(options) else None  # before all else, that takes time too
    expansion = understand(options.overrides, options.config_dir)
    if options.cfg:
        return _print_config(expansion)
    if expansion.swept and not options.multirun:
        raise BadInput("this is a sweep, more than one run: add -m (python -m bie.run -m ...)")
    check_device(expansion.settings)  # before the cells are read
    if not needs_workers(expansion.settings):
        context = None
    elif context is None:
        context = warm_up("many" if options.multirun else "one")
    return _launch(expansion, context, typed)


def _print_config(expansion: "Expansion") -> int:
    from omegaconf import OmegaConf

    run = expansion.combinations[0].config.model_dump(mode="json")
    print(OmegaConf.to_yaml({**run, **expansion.settings.model_dump(mode="json")}), end="")
    return 0


def _launch(expansion: "Expansion", context: "ForkServerContext | None", typed: list[str]) -> int:
    from bie.launching.launch import Order, launch
    from bie.launching.launched import points
    from bie.planning.datasets import Datasets
    from bie.planning.forecast import seconds_per_run
    from bie.planning.outline import outline, unsaved, without_effect
    from bie.planning.plan import make_plan

    tree = tree_of(expansion)
    datasets = Datasets()
    plan = make_plan(expansion.combinations, datasets.content, tree)
    notes = [*unsaved(plan, tree), *without_effect(expansion, plan), *expansion.notes]
    print("\n".join([*outline(plan, datasets), *notes]), flush=True)
    known = points(plan, datasets, tree, seconds_per_run(plan, tree))
    del datasets  # from here on the workers map the copies on disk
    runs = [plan.points[index].config_id for index, _ in plan.todo]
    return launch(Order(tree, typed, runs, known, plan.columns, len(plan.done), expansion.settings), context)


if __name__ == "__main__":
    sys.exit(main())
