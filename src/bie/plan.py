"""``python -m bie.plan``: what ``bie run -m`` would do; launches, downloads and writes nothing."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bie.errors import BadInput, guarded
from bie.planning.help import show_help

if TYPE_CHECKING:
    from bie.planning.plan import Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``plan``."""
    typed = list(sys.argv[1:] if argv is None else argv)
    if "-h" in typed or "--help" in typed:
        return guarded(lambda: show_help("plan"))
    options = _parser().parse_intermixed_args(typed)
    return guarded(lambda: _plan(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bie plan", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--power", action="store_true")
    return parser


def _plan(options: argparse.Namespace) -> int:
    from bie.config import Local
    from bie.launching.bundling import bundling_of, summary
    from bie.launching.launch import plan_of
    from bie.launching.resources import runs_at_a_time
    from bie.planning.application import configurations_of
    from bie.planning.datasets import Datasets
    from bie.planning.durations import forecast, seconds_per_run
    from bie.planning.expand import expand
    from bie.planning.hydra_keys import for_bie
    from bie.planning.outline import as_json, said_of
    from bie.planning.settings import check_device, check_environment, local_workers

    expansion = expand(for_bie(options.overrides), configurations_of(options))
    settings, datasets = expansion.settings, Datasets(may_download=False)
    launcher = settings.hydra.launcher
    plan, _ = plan_of(expansion, datasets)
    check_environment(settings)
    try:
        check_device(settings)
    except BadInput as error:  # the plan may be for another machine
        refused = [f"here bie run refuses this: {error}"]
    else:
        refused = []
    if isinstance(launcher, Local):
        at_work = local_workers(launcher, len(plan.todo))
        jobs, waves, how = min(at_work, len(plan.todo)), min(1, len(plan.todo)), []
    else:
        counts = Counter(plan.points[index].config_id for index, _ in plan.todo)
        seconds = {plan.points[index].config_id: s for index, s in seconds_per_run(plan).items()}
        bundling = bundling_of(settings, counts, seconds)
        at_work = max(1, min(runs_at_a_time(settings), len(plan.todo)))
        jobs, waves, how = bundling.n_tasks, len(bundling.waves), [summary(bundling, settings)]
    seen = _power(plan, settings.study.baseline) if options.power else []
    if options.json:
        print(json.dumps(as_json(plan, jobs, waves) | ({"power": seen} if options.power else {})))
    else:
        said = said_of(expansion, plan, datasets)
        print("\n".join([*said, *how, forecast(plan, at_work), *refused, *seen]))
    return 0


def _power(plan: "Plan", baseline: str | None) -> list[str]:
    """What each comparison of the plan can see, by what is known in the tree and in those beside it."""
    from bie.analysis.baseline import fitting
    from bie.analysis.grid import BASELINE, OTHER_THAN_CELLS, flat
    from bie.analysis.power import Design, power
    from bie.store.paths import studies_beside

    seeds = Counter(index for index, _ in plan.runs)
    rows = {point.config_id: flat(point.plain) | {"model": point.model} for point in plan.points}
    compared = rows.keys() - fitting(rows, baseline or BASELINE)
    designs: dict[Design, None] = {}
    for index, point in enumerate(plan.points):
        if point.config_id in compared:
            row = rows[point.config_id]
            drawn_anew = row.get("dataset.source") in OTHER_THAN_CELLS
            fraction = None if drawn_anew else row.get("split.train_fraction")
            content = point.plain["dataset"]["sha256"]
            designs[Design(point.dataset, point.model, content, fraction, seeds[index])] = None
    return power(designs, studies_beside(plan.tree)) or ["power: there is no model beside the baseline"]


if __name__ == "__main__":
    sys.exit(main())
