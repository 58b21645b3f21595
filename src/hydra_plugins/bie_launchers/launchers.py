"""bie's launchers as Hydra finds them, by their names alone: what they do is `bie.launching.launch.launch`.

Hydra's own `Launcher.launch` composes and starts one job per combination and waits for all of them. bie's
sweeper makes a plan once, with bundles, waves and a canary, whose tasks outlive the command.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OrderLauncher(Launcher):
    """A launcher of whole plans.

    Parameters
    ----------
    settings
        The launcher's section of the configuration; `bie.config.Settings` has it checked.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Refuse another sweeper than bie's before it makes folders."""
        if not str(config.hydra.sweeper._target_).startswith("hydra_plugins.bie_sweeper."):
            self.launch([], 0)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refuse what other sweepers ask for."""
        from bie.errors import BadInput

        raise BadInput(
            "hydra/sweeper: bie's launchers take whole plans, from hydra/sweeper=bie alone. Take the other "
            "sweeper out of your file, or choose a launcher that takes single runs: hydra/launcher=basic"
        )


class WorkersLauncher(OrderLauncher):
    """``hydra/launcher=local``: worker processes of this machine."""


class SubmititLocalLauncher(OrderLauncher):
    """``hydra/launcher=submitit_local``: submitit's local executor."""


class SubmititSlurmLauncher(OrderLauncher):
    """``hydra/launcher=submitit_slurm``: job arrays of Slurm, through submitit."""
