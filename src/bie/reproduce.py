"""``bie reproduce``: do a finished run again as it was done, and say of each number if it is the same."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bie.errors import BadInput, RunFailed, guarded

if TYPE_CHECKING:
    from bie.reproduction.comparison import Comparison
    from bie.reproduction.origin import Origin

_EPILOG = (
    "The record is only read. Exit code: 0 every number is equal, bit for bit or within the tolerance; "
    "1 some are different or, behind a table, could not be done again; 2 nothing could be done again."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Verb ``reproduce``."""
    parser = _parser()
    options = parser.parse_args(argv)
    if (options.run is None) == (options.table is None):
        parser.error("name a run (its id or the beginning of it, or its folder), or --table and a table")
    if options.sample < 1 or not 0 <= options.tolerance < 1:
        parser.error("--sample is a number of runs >= 1, --tolerance a relative difference in 0 to 1")
    return guarded(lambda: _one(options) if options.table is None else _table(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bie reproduce",
        description="Run a record again, its source and environment as then, and compare each number.",
        epilog=_EPILOG,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="id, beginning of it, or folder")
    parser.add_argument(
        "--table", type=Path, help="a sample of the runs behind report/summary.md, or a study"
    )
    parser.add_argument(
        "--sample", type=int, default=10, help="runs of that sample (10), grid points in turn"
    )
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative; up to it is equal (0.001)")
    parser.add_argument("--here", action="store_true", help="in this environment, whatever was recorded")
    parser.add_argument("--json", action="store_true", help="every number as JSON")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the studies")
    return parser


def _one(options: argparse.Namespace) -> int:
    from bie.monitoring.runs import find_run
    from bie.reproduction.origin import origin_of
    from bie.reproduction.words import as_json, as_lines

    tree, run = find_run(options.run, options.outputs)
    origin = origin_of(tree, run.folder(tree))
    _say(options, f"run {run.run_id[:12]}  {run.place}, launch {origin.launch.name}")
    try:
        comparison = _again(options, origin, set(), {})
    except RunFailed as error:
        print(f"it failed this time: {error.cause}: {error}", file=sys.stderr)
        return 1
    lines = (
        [json.dumps({"run_id": run.run_id, **as_json(comparison)})] if options.json else as_lines(comparison)
    )
    print("\n".join(lines))
    return 0 if comparison.held else 1


def _again(
    options: argparse.Namespace, origin: "Origin", told: set[str], failed: dict[str, str]
) -> "Comparison":
    """Run once more and compare; of environments `told` is not said again, and `failed` not built again."""
    from bie.reproduction.comparison import compare
    from bie.reproduction.environment import Recorded, built
    from bie.reproduction.rerun import rerun

    recorded = Recorded.of(origin)
    differences = recorded.differences()
    which = "this one, as asked" if options.here else "as recorded, built in the cache once, since here"
    line = f"environment: {which}: {', '.join(map(str, differences))}"
    if differences and line not in told:
        told.add(line)
        _say(options, line)
    python = built(recorded, failed) if differences and not options.here else Path(sys.executable)
    return compare(origin.record, rerun(origin, python), options.tolerance)


def _say(options: argparse.Namespace, line: str) -> None:
    if not options.json:
        print(line, flush=True)


def _table(options: argparse.Namespace) -> int:
    from bie.reproduction.origin import origin_of
    from bie.reproduction.sample import share, stratified, tree_behind
    from bie.reproduction.words import one_line

    tree = tree_behind(options.table)
    folders, n_runs = stratified(tree, options.sample)
    _say(options, f"{tree.root}: {len(folders)} of {n_runs:,} finished runs, the grid points in turn")
    held, not_done, told, failed = dict[str, bool](), dict[str, str](), set[str](), dict[str, str]()
    for folder in folders:
        name = str(folder.relative_to(tree.runs))
        try:
            comparison = _again(options, origin_of(tree, folder), told, failed)
            held[name], said = comparison.held, one_line(comparison)
        except RunFailed as error:
            held[name], said = False, f"it failed this time: {error.cause}: {error}"
        except BadInput as error:  # which says nothing of its numbers
            not_done[name] = str(error)
            continue
        _say(options, f"  {'held' if held[name] else 'DIFFERS':<8}  {name}  {said}")
    for reason in dict.fromkeys(not_done.values()):
        name, *more = (name for name in not_done if not_done[name] == reason)
        _say(options, f"  NOT DONE  {name}{f' and {len(more):,} more' if more else ''}  {reason}")
    n = sum(held.values())
    if options.json:
        print(json.dumps({"held": n, "n": len(held), "runs": held, "not_done": not_done}))
    else:
        rest = f"; {len(not_done):,} could not be done again" if not_done else ""
        print((share(n, len(held)) if held else "none was done again") + rest)
    return 2 if not held else 1 if not_done or n < len(held) else 0


if __name__ == "__main__":
    sys.exit(main())
