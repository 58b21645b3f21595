"""Start what is to be done: in this command, or in jobs that outlive it."""

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from bie import devices
from bie.config import Local, Settings, SubmititLocal
from bie.errors import BadInput
from bie.execution.packs import Packing
from bie.execution.pool import InThisProcess, Pool, WorkersCannotStart
from bie.execution.processes import stoppable
from bie.execution.progress import QUIET_S, Scoreboard, live_view
from bie.execution.stopping import Rules, decisions, stop_rules
from bie.launching import local_queue
from bie.launching.bundling import Bundling, bundling_of, summary
from bie.launching.launched import grid_points, runs_of
from bie.launching.slurm import SlurmError
from bie.launching.submit import submit
from bie.planning.datasets import Datasets
from bie.planning.durations import seconds_per_run
from bie.planning.expand import Expansion
from bie.planning.plan import Plan, check_baseline, make_plan, set_stale_aside
from bie.planning.settings import local_workers, tree_of
from bie.store.launches import BEFORE, TASK, open_launch
from bie.store.paths import Tree


@dataclass(frozen=True)
class Order:
    """Runs to do, and how."""

    tree: Tree
    argv: Sequence[str]  # what was typed
    plan: Mapping[str, Sequence[Any]]  # columns of ``plan.parquet``, each run to do a task of its own
    points: Mapping[str, Mapping[str, Any]]  # ``points.json``: by config_id, what a run of it is
    n_before: int  # runs that were done before
    settings: Settings

    @cached_property
    def runs(self) -> list[str]:
        """config_id of each run to do, in order."""
        each = zip(self.plan["config_id"], self.plan[TASK], strict=True)
        return [config_id for config_id, task in each if task != BEFORE]


def plan_of(expansion: Expansion, datasets: Datasets) -> tuple[Plan, Rules]:
    """The plan of what was asked for, and what stops seeds; bad input ends here, before anything starts."""
    settings = expansion.settings
    plan = make_plan(expansion.combinations, datasets.content, tree_of(settings), settings.rerun)
    check_baseline(settings.study.baseline, plan)
    rules = stop_rules(plan, settings)
    plan.decided.update(decisions(plan, rules))
    return plan, rules


def order_of(plan: Plan, datasets: Datasets, argv: Sequence[str], settings: Settings, rules: Rules) -> Order:
    """Order for what a plan has left to do; the cells are prepared, what other code has done is set aside."""
    points = grid_points(plan, datasets, seconds_per_run(plan), rules)
    set_stale_aside(plan)
    return Order(plan.tree, argv, plan.columns(), points, len(plan.done), settings)


Stay = Callable[[Tree, str], int]
"""Watches a launch, by its study and its id, to its end; the exit code."""


def launch(order: Order, context: ForkServerContext | None, stay: Stay | None = None) -> int:
    """Carry out an order, or see it off; the exit code.

    Parameters
    ----------
    context
        Workers of this machine, for the launcher ``local``; None: run in this process.
    stay
        For ``hydra.launcher.wait=true``.

    Raises
    ------
    BadInput
        Slurm does not take the job, or the runs do not fit into what it takes. Nothing was started.
    """
    launcher = order.settings.hydra.launcher
    if not order.runs:
        return _conclude(Scoreboard({}, 1), order)
    if not isinstance(launcher, Local):
        return _away(order, stay if launcher.wait else None)
    folder = _open(order, len(order.runs))
    return _conclude(_run_locally(folder, order.settings, context), order)


def _run_locally(folder: Path, settings: Settings, context: ForkServerContext | None) -> Scoreboard:
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
            else Pool(context, folder / "logs", folder.name, packing)
        )
        with stoppable(pool.interrupt), live_view(QUIET_S) as view:
            board.view = view
            pool.run(tasks, board)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept")
    except WorkersCannotStart as error:
        print(error, file=sys.stderr)
    return board


def _open(order: Order, per_task: int) -> Path:
    """Folder of the launch. Tasks take runs in the order of the plan, so many each.

    So what is done at any time is a nearly balanced table.
    """
    tasks = [task if task == BEFORE else task // per_task for task in order.plan[TASK]]
    settings = order.settings.model_dump(mode="json")
    return open_launch(order.tree, order.argv, {**order.plan, TASK: tasks}, order.points, settings)


def _away(order: Order, stay: Stay | None) -> int:
    """Submit, say so, and return; or stay and watch."""
    seconds = {name: point["seconds"] for name, point in order.points.items()}
    bundling = bundling_of(order.settings, Counter(order.runs), seconds)
    folder = _open(order, bundling.per_task).resolve()
    print(summary(bundling, order.settings))
    print(f"source, config and lock frozen in {order.tree.launches / folder.name}", flush=True)
    complete = _submit(folder, order, bundling)
    if complete and stay is not None:
        return stay(order.tree, folder.name)
    return 0 if complete else 1


def _conclude(board: Scoreboard, order: Order) -> int:
    """Say what came out and what to do next; the exit code."""
    failed, left = board.failed.total(), board.left.total()
    elsewhere = sum(not task.is_done() for task in board.elsewhere)
    before = order.n_before + board.ends["before"] + len(board.elsewhere) - elsewhere
    causes = ", ".join(f"{cause}: {n}" for cause, n in board.failed.most_common())
    stopped = f" ({board.midway} stopped midway, to go on from there)" if board.midway else ""
    parts = [
        f"done {board.ends['done']}",
        f"failed {failed} ({causes})" if failed else "",
        f"not run {left}{stopped}" if left else "",
        f"{elsewhere} are being done by another launch" if elsewhere else "",
        f"{before} were done before" if before else "",
        f"{board.ends['decided']} not needed: decided" if board.ends["decided"] else "",
    ]
    named = shlex.quote(str(order.tree.root))
    code = 1 if failed or left or elsewhere else 0
    print(f"{', '.join(part for part in parts if part)}.   exit {code}")
    if failed:
        print(f"  bie logs --failed {named}      why")
    if code:
        print(f"  bie retry {named}      what failed or is missing, again")
    print(f"  bie aggregate {named}      table")
    print(f"  bie report {named}      page")
    print(f"tree: {order.tree.root}")
    return code


def _submit(folder: Path, order: Order, bundling: Bundling) -> bool:
    """Submit all jobs; False if only some were taken."""
    names: list[str] = []
    try:
        if isinstance(order.settings.hydra.launcher, SubmititLocal):
            names.append(local_queue.start(folder, order.settings, bundling.n_tasks, len(order.points)))
        else:
            for name in submit(folder, order.settings, bundling, len(order.points)):
                names.append(name)
    except SlurmError as error:
        if not names:
            shutil.rmtree(folder)
            raise BadInput(f"Slurm did not take the job: {error}") from None
        print(f"Slurm took no more: {error}", file=sys.stderr)
        print("the same command later adds what is missing", file=sys.stderr)
        return False
    finally:
        if names:
            named = shlex.quote(str(order.tree.root))
            following = f"bie status {named} --watch     bie cancel {named}"
            print(f"submitted {', '.join(names)}.  {following}", flush=True)
    return True
