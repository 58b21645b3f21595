"""``python -m bie.run``: one experiment, or with ``-m`` a sweep. A Hydra application.

Overrides are Hydra's: ``model=scvi,scvi_mine mine.scale=1000,5000 seed=0..99``.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie.errors import RunFailed, guarded
from bie.planning.help import help_of
from bie.planning.request import one_run_here

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``run``."""
    typed = list(sys.argv[1:] if argv is None else argv)
    if "-h" in typed or "--help" in typed:
        print(help_of("run"))
        return 0
    return guarded(lambda: _run(typed))


def _run(typed: list[str]) -> int:
    from bie.execution.server import single_threaded, warm_up

    single_threaded()
    if one_run_here(typed):
        warm_up("one")  # before all else, that takes time too
    from bie.planning import application

    return application.main(typed, one_run)


def one_run(config: "DictConfig") -> int:
    """Do the run of a finished configuration in this process; the function that Hydra calls a task.

    Raises
    ------
    RunFailed
        It failed, and its folder says why.
    """
    from bie.launching.launch import Order, launch
    from bie.launching.launched import points
    from bie.planning.datasets import Datasets
    from bie.planning.expand import settled
    from bie.planning.plan import make_plan, set_stale_aside
    from bie.planning.request import tree_of

    expansion, datasets = settled(config), Datasets()
    tree = tree_of(expansion)
    plan = make_plan(expansion.combinations, datasets.content, tree, expansion.settings.rerun)
    known = points(plan, datasets, tree, {}, {})  # one run is compared with nothing: no rule stops it
    runs = [plan.points[index].config_id for index, _ in plan.todo]
    order = Order(tree, sys.argv[1:], runs, known, plan.columns, len(plan.done), expansion.settings)
    set_stale_aside(plan, tree)
    if launch(order, None):
        raise RunFailed("failed", f"it failed; bie logs --failed {tree.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
