"""``python -m bie.run``: one experiment, or with ``-m`` a sweep. A Hydra application.

Overrides are Hydra's: ``model=scvi,scvi_mine mine.scale=1000,5000 seed=0..99``.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie.errors import RunFailed, guarded
from bie.planning.help import show_help

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``run``."""
    typed = list(sys.argv[1:] if argv is None else argv)
    if "-h" in typed or "--help" in typed:
        return guarded(lambda: show_help("run"))
    return guarded(lambda: _run(typed))


def _run(typed: list[str]) -> int:
    from bie.execution.processes import single_threaded, warm_up

    single_threaded()
    if one_run_here(typed):
        warm_up("one")  # before all else, that takes time too
    from bie.planning import application

    return application.main(typed, one_run)


def one_run_here(typed: Sequence[str]) -> bool:
    """Whether what was typed looks like a single run on this machine, by a glance at it.

    A flag, a study file or a key of Hydra may say something else; these are read first.
    """
    return not any(text.startswith(("-", "+", "hydra", "study=")) for text in typed)


def one_run(config: "DictConfig") -> int:
    """Do the run of a finished configuration in this process; the function that Hydra calls a task.

    Raises
    ------
    RunFailed
        It failed, and its folder says why.
    """
    from bie.launching.launch import launch, order_of
    from bie.planning.datasets import Datasets
    from bie.planning.expand import settled
    from bie.planning.plan import make_plan
    from bie.planning.settings import tree_of

    expansion, datasets = settled(config), Datasets()
    tree = tree_of(expansion.settings)
    plan = make_plan(expansion.combinations, datasets.content, tree, expansion.settings.rerun)
    if launch(order_of(plan, datasets, sys.argv[1:], expansion.settings, {}), None):
        raise RunFailed("failed", f"it failed; bie logs --failed {tree.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
