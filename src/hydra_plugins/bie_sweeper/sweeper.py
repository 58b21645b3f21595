"""bie's sweeper as Hydra finds it: a sweep is expanded, pruned and planned as a whole, then launched as one.

Hydra's own sweeper hands a list of overrides per combination to a launcher, which composes and starts each.
This one does so with launchers from elsewhere, for the runs that are left to do; for bie's own, and those of
hydra-submitit-launcher, whose keys bie's take, the whole plan is launched.

Any application of the environment loads this module, so that what it needs is loaded when it sweeps.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from bie.planning.plan import Plan


class BieSweeper(Sweeper):
    """The sweeper of ``bie run``.

    Parameters
    ----------
    params
        Sweeps to start from; `bie.planning.expand` reads them from the configuration.
    """

    def __init__(self, params: Any = None) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a launcher will need.

        Parameters
        ----------
        task_function
            `bie.planning.application.Request`, which knows what the command asked for.
        """
        self.request, self.config, self._context = task_function, config, hydra_context

    def sweep(self, arguments: list[str]) -> int:
        """Plan what was asked for, say so, and launch what is left to do; the exit code."""
        from bie.config.launchers import is_ours
        from bie.launching.launch import launch, order_of, plan_of
        from bie.monitoring.overview import stay
        from bie.planning.application import Request
        from bie.planning.datasets import Datasets
        from bie.planning.outline import said_of

        assert isinstance(self.request, Request), "this sweeper is that of `bie run`"
        expansion, datasets, context = self.request.expansion, Datasets(), self._workers()
        plan, rules = plan_of(expansion, datasets)
        print("\n".join(said_of(expansion, plan, datasets)), flush=True)
        assert self.config is not None
        if not is_ours(self.config.hydra.launcher):
            return self._one_by_one(plan)
        order = order_of(plan, datasets, self.request.argv, expansion.settings, rules)
        del datasets  # from here on the workers map the copies on disk
        return launch(order, context, stay)

    def _workers(self) -> "ForkServerContext | None":
        """Worker processes of this machine, whose libraries load while the cells are read."""
        from bie.execution.processes import warm_up
        from bie.planning.settings import needs_workers

        expansion = self.request.expansion  # type: ignore[attr-defined]
        return warm_up("many" if expansion.swept else "one") if needs_workers(expansion.settings) else None

    def _one_by_one(self, plan: "Plan") -> int:
        """Give a launcher from elsewhere the overrides of each run to do."""
        from bie.planning.keys import in_words

        assert self.config is not None
        with in_words("hydra/launcher"):
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=self.request, config=self.config
            )
        jobs: Sequence[Sequence[str]] = [
            self.request.overrides_of(plan.points[index], seed)  # type: ignore[attr-defined]
            for index, seed in plan.todo
        ]
        done = launcher.launch(jobs, initial_job_idx=0) if jobs else []
        return max((job.return_value for job in done), default=0)
