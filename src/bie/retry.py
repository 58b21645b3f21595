"""``bie retry``: run failed and missing runs again."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bie.errors import BadInput, guarded

if TYPE_CHECKING:
    from bie.config import Settings
    from bie.launching.launch import Order
    from bie.monitoring.steering import Chosen
    from bie.monitoring.study_status import StudyStatus

_EPILOG = """\
OVERRIDES say how, never what: hydra/launcher=local hydra.launcher.workers=2, site=spartan, site.qos=long.
Without them the runs go where their last launch sent them.
Exit code: that of the launches; 0 where there is nothing to do again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``retry``."""
    typed = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_intermixed_args(typed)
    return guarded(lambda: _retry(options, typed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie retry",
        description="Run the failed and missing runs of a study again, as a new launch.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "given",
        nargs="*",
        metavar="TREE | OVERRIDE",
        help="study (default: the newest), settings of the launcher",
    )
    parser.add_argument("--cause", metavar="A,B", help="only these: nan, oom, timeout, ..., missing")
    parser.add_argument("-cd", "--config-dir", type=Path, help="folder with launchers and sites of your own")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    return parser


def _retry(options: argparse.Namespace, typed: list[str]) -> int:
    from bie.monitoring.steering import choose, orders, read_causes, set_aside
    from bie.monitoring.study_status import read_status
    from bie.planning.compose import Configurations
    from bie.planning.settings import amended
    from bie.store.paths import find_tree
    from bie.store.provenance import configuration_folder

    overrides = [text for text in options.given if "=" in text and not Path(text).is_dir()]
    trees = [text for text in options.given if text not in overrides]
    if len(trees) > 1:
        raise BadInput(f"one study at a time, not {', '.join(trees)}")
    status = read_status(find_tree(Path(trees[0]) if trees else None, options.outputs))
    chosen = choose(status, read_causes(options.cause, status))
    configurations = Configurations(configuration_folder(), options.config_dir)

    def settle(stored: dict[str, Any]) -> "Settings":
        return amended(stored, overrides, configurations)

    if overrides and not chosen.runs and status.launches:
        settle(status.launches[-1].settings)  # what cannot be read is said, though nothing is left to do
    made = orders(status, chosen.runs, ["retry", *typed], settle)
    print("\n".join(_announce(status, chosen)), flush=True)
    set_aside(status.tree, chosen.runs)
    return max((_launch(order) for order in made), default=0)


def _announce(status: "StudyStatus", chosen: "Chosen") -> Iterator[str]:
    """What will be done, what is left alone, and why."""
    from bie.monitoring.steering import cause_of

    states = Counter(run.state for run in status.runs)
    again = Counter(cause_of(run) for run in chosen.runs)
    if again:
        causes = ", ".join(f"{cause}: {n:,}" for cause, n in again.most_common())
        yield f"{status.tree.root.resolve().name}: {again.total():,} to do again ({causes})"
    else:
        others = Counter(cause_of(run) for run in status.runs if run.state in ("failed", "missing"))
        causes = ", ".join(f"{cause}: {n:,}" for cause, n in others.most_common())
        yield f"nothing to retry: {states['done']:,} of {len(status.runs):,} done" + (
            f"; {causes}" if causes else ""
        )
    if states["running"] or states["queued"]:
        yield f"  left alone: running {states['running']:,}, queued {states['queued']:,}"
    if chosen.unasked:
        yield f"  left alone: {chosen.unasked:,} that may be waiting or at work; {status.slurm_error}"
    if chosen.decided:
        yield f"  left alone: {chosen.decided:,} of grid points that are decided (bie status says how)"


def _launch(order: "Order") -> int:
    from bie.execution.processes import single_threaded, warm_up
    from bie.launching.launch import launch
    from bie.monitoring.overview import stay
    from bie.planning.settings import check_device, check_environment, needs_workers

    single_threaded()
    check_device(order.settings)
    if warning := check_environment(order.settings):
        print(warning)
    return launch(order, warm_up() if needs_workers(order.settings) else None, stay)


if __name__ == "__main__":
    sys.exit(main())
