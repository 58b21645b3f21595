"""Find the run that somebody means."""

import re
from collections.abc import Iterator
from pathlib import Path

from bie.errors import BadInput
from bie.monitoring.folders import read_launches
from bie.monitoring.planned import Run, planned_runs
from bie.store.identity import SHOWN
from bie.store.paths import Tree, find_tree

MOST = 10  # candidates that are listed
_FOLDER = re.compile(r"(?P<config>[0-9a-f]{4,64})(?:/seed=(?P<seed>\d+))?(?:/[\w.]+)?/*$")


def find_run(text: str, outputs: Path) -> tuple[Tree, Run]:
    """The run with an id, or a unique beginning of one, or the folder of the run.

    The studies are searched from the newest to the oldest; the first that knows such a run counts.

    Raises
    ------
    BadInput
        There is no such run, or there are several.
    """
    for tree in _trees(text, outputs):
        runs = planned_runs(read_launches(tree))
        found = _by_folder(text, runs) if "/" in text else [r for r in runs if r.run_id.startswith(text)]
        if len(found) == 1:
            return tree, found[0]
        if found:
            raise BadInput(f"{text} means {len(found):,} runs of {tree.root}:\n{_listed(found)}")
    raise BadInput(f"{text}: no run of a study in {outputs}/ has an id that begins so. bie status lists them")


def _trees(text: str, outputs: Path) -> Iterator[Tree]:
    """The study that a path lies in; else all of them, the newest first."""
    inside = [parent for parent in Path(text).absolute().parents if (parent / "launches").is_dir()]
    if inside:
        yield Tree(inside[0])
        return
    yield find_tree(None, outputs)
    rest = sorted(outputs.glob("*/*/launches"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    yield from (Tree(path.parent) for path in rest[1:])


def _by_folder(text: str, runs: list[Run]) -> list[Run]:
    named = _FOLDER.search(text)
    if named is None:
        return []
    config, seed = named["config"][:SHOWN], named["seed"]
    return [
        run for run in runs if run.config_id.startswith(config) and (seed is None or run.seed == int(seed))
    ]


def _listed(runs: list[Run]) -> str:
    lines = [f"  {run.run_id[:SHOWN]}  {run.place}" for run in runs[:MOST]]
    more = [f"  and {len(runs) - MOST:,} more"] if len(runs) > MOST else []
    return "\n".join([*lines, *more])
