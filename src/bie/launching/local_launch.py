"""Run a launch in worker processes of this machine while the command waits."""

import shlex
import sys
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path

from bie import devices
from bie.config import Local, Settings
from bie.execution.packs import Packing
from bie.execution.pool import Pool, WorkersCannotStart
from bie.execution.pool_protocol import InThisProcess
from bie.execution.progress import Scoreboard, display
from bie.execution.signals import stoppable
from bie.launching.launched import runs_of
from bie.planning.settings import local_workers
from bie.store.paths import Tree


def run_locally(folder: Path, settings: Settings, context: ForkServerContext | None) -> Scoreboard:
    """Carry out a launch; the board that comes back says how it went."""
    launcher = settings.hydra.launcher
    assert isinstance(launcher, Local)
    tasks = runs_of(folder)
    cores = 1 if context is None else devices.cores()
    packing = Packing.of(settings, tasks, local_workers(launcher, len(tasks)), cores)
    board = Scoreboard(Counter(task.config.model.name for task in tasks), packing.n_workers)
    try:
        pool = (
            InThisProcess(folder.name, packing)
            if context is None
            else Pool(context, board.n_workers, folder / "logs", folder.name, packing)
        )
        with stoppable(pool.interrupt), display(board) as observer:
            pool.run(tasks, observer)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept")
    except WorkersCannotStart as error:
        print(error, file=sys.stderr)
    return board


def conclude(board: Scoreboard, n_before: int, tree: Tree) -> int:
    """Say what came out and what to do next; the exit code."""
    failed, left = board.failed.total(), board.left.total()
    elsewhere = sum(not task.is_done() for task in board.elsewhere)
    before = n_before + board.before + len(board.elsewhere) - elsewhere
    causes = ", ".join(f"{cause}: {n}" for cause, n in board.failed.most_common())
    stopped = f" ({board.midway} stopped midway, to go on from there)" if board.midway else ""
    parts = [
        f"done {board.done}",
        f"failed {failed} ({causes})" if failed else "",
        f"not run {left}{stopped}" if left else "",
        f"{elsewhere} are being done by another launch" if elsewhere else "",
        f"{before} were done before" if before else "",
        f"{board.decided} not needed: decided" if board.decided else "",
    ]
    named = shlex.quote(str(tree.root))
    code = 1 if failed or left or elsewhere else 0
    print(f"{', '.join(part for part in parts if part)}.   exit {code}")
    if failed:
        print(f"  bie logs --failed {named}      why")
    if code:
        print(f"  bie retry {named}      what failed or is missing, again")
    print(f"  bie aggregate {named}      table")
    print(f"  bie report {named}      page")
    print(f"tree: {tree.root}")
    return code
