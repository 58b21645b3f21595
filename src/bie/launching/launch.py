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

from bie.config import Local, Settings, SubmititLocal
from bie.errors import BadInput
from bie.execution.progress import Scoreboard
from bie.execution.stopping import Rules, decisions, stop_rules
from bie.launching import local_queue
from bie.launching.bundling import Bundling, bundling_of, in_words
from bie.launching.foreground import conclude, run_locally
from bie.launching.launched import grid_points
from bie.launching.slurm import SlurmError
from bie.launching.submit import submit
from bie.planning.datasets import Datasets
from bie.planning.durations import seconds_per_run
from bie.planning.expand import Expansion
from bie.planning.plan import Plan, check_baseline, make_plan, set_stale_aside
from bie.planning.settings import tree_of
from bie.store.launches import BEFORE, TASK, open_launch
from bie.store.paths import Tree


@dataclass(frozen=True)
class Order:
    """Runs to do, and how.

    Attributes
    ----------
    tree
        Where they go.
    argv
        What was typed.
    plan
        ``plan.parquet``, each run to do a task of its own: `bie.planning.plan.Plan.columns`.
    points
        ``points.json``: what a run of each config_id is.
    n_before
        Runs that were done before.
    settings
        Launcher, site and the rest.
    """

    tree: Tree
    argv: Sequence[str]
    plan: Mapping[str, Sequence[Any]]
    points: Mapping[str, Mapping[str, Any]]
    n_before: int
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
        return conclude(Scoreboard({}, 1), order.n_before, order.tree)
    if not isinstance(launcher, Local):
        return _away(order, stay if launcher.wait else None)
    folder = _open(order, len(order.runs))
    return conclude(run_locally(folder, order.settings, context), order.n_before, order.tree)


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
    bundling, limits = bundling_of(order.settings, Counter(order.runs), seconds)
    folder = _open(order, bundling.per_task).resolve()
    print(in_words(bundling, order.settings, limits))
    print(f"source, config and lock frozen in {order.tree.launches / folder.name}", flush=True)
    complete = _submit(folder, order, bundling)
    if complete and stay is not None:
        return stay(order.tree, folder.name)
    return 0 if complete else 1


def _next(tree: Tree) -> str:
    named = shlex.quote(str(tree.root))
    return f"bie status {named} --watch     bie cancel {named}"


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
            print(f"submitted {', '.join(names)}.  {_next(order.tree)}", flush=True)
    return True
