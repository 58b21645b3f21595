"""``python -m bie.run``: one experiment, or with ``-m`` a sweep.

Overrides are Hydra's: ``model=scvi,scvi_mine mine.scale=1000,5000 'seed=range(100)'``.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded
from bie.sweep.request import n_workers, parser, tree_of, understand

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from bie.store.paths import Tree
    from bie.sweep.datasets import Datasets
    from bie.sweep.expand import Expansion
    from bie.sweep.plan import Plan, Point
    from bie.sweep.progress import Scoreboard
    from bie.sweep.task import Task


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``run``."""
    arguments = parser("bie run", "One experiment, or with -m a sweep.")
    arguments.add_argument("--cfg", choices=["job"], help="print the configuration, run nothing")
    typed = list(sys.argv[1:] if argv is None else argv)
    options = arguments.parse_intermixed_args(typed)
    return guarded(lambda: _run(options, typed))


def _run(options: argparse.Namespace, typed: list[str]) -> int:
    from bie.sweep.local import single_threaded, warm_up

    single_threaded()
    expansion = understand(options.overrides, options.config_dir)
    if options.cfg:
        return _print_config(expansion)
    if expansion.swept and not options.multirun:
        raise BadInput("this is a sweep, more than one run: add -m (python -m bie.run -m ...)")
    context = None if expansion.settings.hydra.launcher.workers == 0 else warm_up()
    return _launch(expansion, context, typed)


def _print_config(expansion: "Expansion") -> int:
    from omegaconf import OmegaConf

    run = expansion.combinations[0].config.model_dump(mode="json")
    print(OmegaConf.to_yaml({**run, **expansion.settings.model_dump(mode="json")}), end="")
    return 0


def _launch(expansion: "Expansion", context: "ForkServerContext | None", typed: list[str]) -> int:
    from bie.store.launches import open_launch
    from bie.sweep.datasets import Datasets
    from bie.sweep.local import InThisProcess, Pool, WorkersCannotStart, stoppable
    from bie.sweep.outline import outline
    from bie.sweep.plan import make_plan
    from bie.sweep.progress import Scoreboard, display

    tree = tree_of(expansion)
    datasets = Datasets()
    plan = make_plan(expansion.combinations, datasets.content, tree)
    print("\n".join(outline(plan, datasets)), flush=True)
    tasks = list(_tasks(plan, datasets, tree))
    del datasets  # from here on the workers map the copies on disk
    board = Scoreboard(Counter(task.config.model.name for task in tasks), n_workers(expansion, len(tasks)))
    if tasks:
        folder = open_launch(tree, typed, plan.columns())
        try:
            pool = (
                InThisProcess(folder.name)
                if context is None
                else Pool(context, board.n_workers, folder / "logs", folder.name)
            )
            with stoppable(pool.interrupt), display(board) as observer:
                pool.run(tasks, observer)
        except KeyboardInterrupt:
            print("stopped; what was finished is kept")
        except WorkersCannotStart as error:
            print(error, file=sys.stderr)
    return _conclude(board, plan, tree)


def _tasks(plan: "Plan", datasets: "Datasets", tree: "Tree") -> "Iterator[Task]":
    from bie.data.shelf import shelve
    from bie.sweep.task import Task

    cells = {index: datasets[plan.points[index].config.dataset] for index, _ in plan.todo}
    shelves = {index: shelve(known, tree.shelf) for index, known in cells.items()}
    for index, seed in plan.todo:
        point = plan.points[index]
        yield Task(
            point.title,
            point.config.model_copy(update={"seed": seed}),
            point.plain,
            point.config_id,
            shelves[index],
            _origin(point),
            tree.run_dir(point.dataset, point.model, point.config_id, seed),
        )


def _origin(point: "Point") -> dict[str, object]:
    """Where a dataset came from: what its section says beyond its identity, such as the path."""
    dumped = point.config.dataset.model_dump(mode="json")
    local = {key: value for key, value in dumped.items() if key not in point.plain["dataset"]}
    return {"sha256": point.plain["dataset"]["sha256"], **local}


def _conclude(board: "Scoreboard", plan: "Plan", tree: "Tree") -> int:
    """Say what came out and what to do next."""
    failed, left = board.failed.total(), board.left.total()
    elsewhere = sum(not task.is_done() for task in board.elsewhere)
    before = len(plan.done) + board.before + len(board.elsewhere) - elsewhere
    causes = ", ".join(f"{cause}: {n}" for cause, n in board.failed.most_common())
    stopped = f" ({board.interrupted} stopped midway, to go on from there)" if board.interrupted else ""
    parts = [
        f"done {board.done}",
        f"failed {failed} ({causes})" if failed else "",
        f"not run {left}{stopped}" if left else "",
        f"{elsewhere} are being done by another launch" if elsewhere else "",
        f"{before} were done before" if before else "",
    ]
    code = 1 if failed or left or elsewhere else 0
    print(f"{', '.join(part for part in parts if part)}.   exit {code}")
    if code:
        print(
            "  the same command again runs only what is missing; failed.json beside a run says why it failed"
        )
    print(f"  bie aggregate {tree.root}      table")
    print(f"tree: {tree.root}")
    return code


if __name__ == "__main__":
    sys.exit(main())
