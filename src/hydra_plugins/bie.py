"""bie as Hydra finds it, by names alone: sweeper, launchers, callback.

Hydra's own sweeper hands a list of overrides per combination to a launcher, which composes and starts each
and waits for all of them. bie's expands, prunes and plans a sweep as a whole, once, and launches it as one,
with bundles, waves and a canary, whose tasks outlive the command.

Any application of the environment loads this module, so that what it needs is loaded when it is called.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from bie.planning.plan import Plan


class BieSweeper(Sweeper):
    """The sweeper of ``bie run``; `bie.planning.expand` reads its `params` from the configuration.

    For bie's launchers, and those of hydra-submitit-launcher, whose keys bie's take, the whole plan is
    launched; other launchers get the overrides of each run that is left to do.
    """

    def __init__(self, params: Any = None) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a launcher will need; the function is a `bie.planning.application.Request`."""
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
        from bie.planning.keys import as_bad_input

        assert self.config is not None
        with as_bad_input("hydra/launcher"):
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=self.request, config=self.config
            )
        jobs: Sequence[Sequence[str]] = [
            self.request.overrides_of(plan.points[index], seed)  # type: ignore[attr-defined]
            for index, seed in plan.todo
        ]
        done = launcher.launch(jobs, initial_job_idx=0) if jobs else []
        return max((job.return_value for job in done), default=0)


class PlanLauncher(Launcher):
    """A launcher of whole plans; what it does is `bie.launching.launch.launch`."""

    def __init__(self, **settings: Any) -> None:
        """Take any `settings`: `bie.config.Settings` checks them."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Refuse another sweeper than bie's before it makes folders."""
        if not str(config.hydra.sweeper._target_).startswith("hydra_plugins.bie."):
            self.launch([], 0)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refuse what other sweepers ask for."""
        from bie.errors import BadInput

        raise BadInput(
            "hydra/sweeper: bie's launchers take whole plans, from hydra/sweeper=bie alone. Take the other "
            "sweeper out of your file, or choose a launcher that takes single runs: hydra/launcher=basic"
        )


class WorkersLauncher(PlanLauncher):
    """``hydra/launcher=local``: worker processes of this machine."""


class SubmititLocalLauncher(PlanLauncher):
    """``hydra/launcher=submitit_local``: submitit's local executor."""


class SubmititSlurmLauncher(PlanLauncher):
    """``hydra/launcher=submitit_slurm``: job arrays of Slurm, through submitit."""


class Report(Callback):
    """``hydra/callbacks=report``: table and page of the study, once its launch has ended.

    They are made whatever became of the runs, and do not change the exit code, which is that of the launch.
    A launch whose tasks outlive the command has not ended: then a line says what to type later.
    """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Do what ``bie aggregate`` and ``bie report`` do, for a sweep and for a single run alike."""
        from bie import aggregate, report
        from bie.errors import guarded

        tree = Path(config.hydra.sweep.dir)
        launches = sorted((tree / "launches").glob("*"))
        if sys.exc_info()[0] or not launches:  # nothing was launched; Hydra 1.4 calls it all the same
            return
        if guarded(lambda: _goes_on(launches[-1])):
            return
        for verb in (aggregate, report):
            verb.main([str(tree)])


def _goes_on(launch: Path) -> int:
    """Whether tasks of a launch wait or run; what to do when they have ended is said."""
    from bie.monitoring.study_status import GOING, read_status
    from bie.store.paths import Tree

    status = read_status(Tree(launch.parents[1]))
    of_jobs = [run for run in status.runs if run.launch.id == launch.name and run.launch.jobs]
    if not any(run.state in GOING or (status.slurm_error and run.state == "missing") for run in of_jobs):
        return 0
    tree = shlex.quote(str(launch.parents[1]))
    print(f"table and page, when all has ended: bie aggregate {tree} && bie report {tree}")
    return 1
