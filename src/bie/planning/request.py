"""What a command line asks for: the part that ``run`` and ``plan`` share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie import devices
from bie.errors import BadInput
from bie.store.paths import Tree
from bie.store.provenance import configuration_folder

if TYPE_CHECKING:
    from bie.config import Local, Settings
    from bie.planning.expand import Expansion

EPILOG = """\
config groups (GROUP=CHOICE):
{groups}

Any key can be set (KEY=VALUE) and with -m swept (a,b,c   range(100)   zip(a=[1,2],b=[3,4])).
  python -m bie.run --cfg job                               shows all keys and values
  python -m bie.run dataset=zinb model=scvi_mine            one run
  python -m bie.run -m model=scvi,scvi_mine mine.scale=1000,5000 'seed=range(100)'
  python -m bie.run -m study=trade_off hydra/launcher=submitit_slurm site=spartan site.account=ID
                                                            the same as Slurm job arrays
Results: outputs/<version>/<study>/ (outputs=, version=, study.name=). Rerunning the same command
does only what is missing. Exit codes: 0 all fine, 1 some runs failed or are missing, 2 bad input."""


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Arguments in common; the help lists the config groups from their file names alone."""
    result = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=EPILOG.format(groups=_groups(configuration_folder())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra overrides, see below")
    result.add_argument("-cd", "--config-dir", type=Path, help="folder with config groups of your own")
    result.add_argument("-m", "--multirun", action="store_true", help="allow sweeps (a plan always may)")
    return result


def _groups(conf: Path) -> str:
    found: dict[str, list[str]] = {}
    for path in sorted(conf.rglob("*.yaml")):
        found.setdefault(str(path.parent.relative_to(conf)), []).append(path.stem)
    return "\n".join(f"  {group:<15} {' | '.join(names)}" for group, names in found.items() if group != ".")


def understand(overrides: Sequence[str], own: Path | None) -> "Expansion":
    """Read and check what was typed.

    Raises
    ------
    BadInput
        Anything unreadable, unknown or out of range.
    """
    from bie.planning.compose import Configurations
    from bie.planning.expand import expand

    if own is not None and not own.is_dir():
        raise BadInput(f"--config-dir {own}: there is no such folder")
    return expand(overrides, Configurations(configuration_folder(), own))


def tree_of(expansion: "Expansion") -> Tree:
    """Where the launch writes."""
    settings = expansion.settings
    return Tree(settings.outputs / settings.version / settings.study.name)


def check_device(settings: "Settings") -> None:
    """Raise `BadInput` if the runs are to be on a GPU of this machine, and there is none, or as on one."""
    devices.check_products(settings.products, settings.device)
    if settings.hydra.launcher.kind == "local":
        devices.check(settings.device)


def needs_workers(settings: "Settings") -> bool:
    """Whether the command itself runs things, in worker processes."""
    launcher = settings.hydra.launcher
    return launcher.kind == "local" and launcher.workers != 0


def one_run_here(options: argparse.Namespace) -> bool:
    """Whether what was typed looks like a single run on this machine, by a glance at it.

    A study file, a folder of one's own or a key of Hydra may say where to run; these are read first.
    """
    elsewhere = options.multirun or options.cfg or options.config_dir
    return not elsewhere and not any(o.startswith(("hydra", "study=")) for o in options.overrides)


def local_workers(launcher: "Local", n_tasks: int) -> int:
    """Worker processes: as many as asked for, or one per core; never more than tasks."""
    return max(1, min(devices.cores() if launcher.workers is None else launcher.workers, n_tasks))
