"""What a command line asks for, as far as that can be told without reading any configuration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie import devices
from bie.errors import BadInput
from bie.store.paths import Tree

if TYPE_CHECKING:
    from bie.config import Local, Settings
    from bie.planning.expand import Expansion


def tree_of(expansion: "Expansion") -> Tree:
    """Where the launch writes."""
    settings = expansion.settings
    return Tree(settings.outputs / settings.version / settings.study.name)


def check_device(settings: "Settings") -> None:
    """Raise `BadInput` if the runs are to be on a GPU of this machine, and there is none, or as on one."""
    devices.check_products(settings.products, settings.device)
    if settings.hydra.launcher.kind == "local":
        devices.check(settings.device)


def check_environment(settings: "Settings") -> str | None:
    """A line on packages that are not as in the lock; None where all are, or nobody wants to know.

    Raises
    ------
    BadInput
        There are some, and ``environment=refuse``.
    """
    from bie.store.environment import changed, installed, pinned
    from bie.store.provenance import lock_file

    lock = None if settings.environment == "ignore" else lock_file()
    found = changed(pinned(lock.read_text()), installed()) if lock else []
    if not lock or not found:
        return None
    said = f"not as in {lock.name}: {', '.join(map(str, found))}"
    if settings.environment == "refuse":
        raise BadInput(
            f"environment=refuse: {said}. scripts/setup makes an environment as the lock says; "
            "environment=warn takes this one"
        )
    return f"environment: {said}; numbers may differ in some digits"


def needs_workers(settings: "Settings") -> bool:
    """Whether the command itself runs things, in worker processes."""
    launcher = settings.hydra.launcher
    return launcher.kind == "local" and launcher.workers != 0


def one_run_here(typed: Sequence[str]) -> bool:
    """Whether what was typed looks like a single run on this machine, by a glance at it.

    A flag, a study file or a key of Hydra may say something else; these are read first.
    """
    return not any(text.startswith(("-", "+", "hydra", "study=")) for text in typed)


def local_workers(launcher: "Local", n_tasks: int) -> int:
    """Worker processes: as many as asked for, or one per core; never more than tasks."""
    return max(1, min(devices.cores() if launcher.workers is None else launcher.workers, n_tasks))
