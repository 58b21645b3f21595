"""bie's launchers as Hydra finds them; each carries out a whole plan, rather than a list of overrides.

Hydra's own `Launcher.launch` composes and starts one job per combination and waits for all of them. A plan is
made once, has bundles, waves and a canary, and its tasks outlive the command: that is an `Order`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from bie.launching.launch import Order


class OrderLauncher(Launcher):
    """A launcher that carries out orders.

    Parameters
    ----------
    settings
        The launcher's section of the configuration; `bie.config.Settings` has it checked.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing to do: an order knows all."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refuse what Hydra's own sweepers would ask for."""
        raise NotImplementedError("bie launches whole plans: carry_out(order)")

    def carry_out(self, order: "Order", context: "ForkServerContext | None" = None) -> int:
        """Carry out an order, or see it off; the exit code. See `bie.launching.launch.launch`."""
        from bie.launching.launch import launch

        return launch(order, context)


class WorkersLauncher(OrderLauncher):
    """``hydra/launcher=local``: worker processes of this machine."""


class SubmititLocalLauncher(OrderLauncher):
    """``hydra/launcher=submitit_local``: submitit's local executor."""


class SubmititSlurmLauncher(OrderLauncher):
    """``hydra/launcher=submitit_slurm``: job arrays of Slurm, through submitit."""
