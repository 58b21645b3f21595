"""The command that makes one run of a study once more."""

import json
import shlex
from collections.abc import Mapping, Sequence, Set
from typing import Any

from bie.errors import BadInput
from bie.store.launches import launch_folders, read_plan
from bie.store.paths import Tree

ELSEWHERE = "outputs=again"  # a finished run is never made twice in one tree
_LAUNCH_ONLY = {"outputs", "version", "study.name", "seed", "hydra", "site", "pack"}


def commands(tree: Tree) -> dict[str, str]:
    """Command for each ``config_id`` that a launch asked for, but for the seed, which comes last."""
    found: dict[str, str] = {}
    for folder in launch_folders(tree):
        try:
            argv = json.loads((folder / "argv").read_bytes())
            columns = ("config_id", "model", "grid")
            table = read_plan(folder, columns, columns).to_pandas()
        except (OSError, ValueError, BadInput):
            continue  # half a launch: nothing can be said of it
        points = table.drop_duplicates("config_id").to_dict("records")
        grids = [json.loads(point["grid"]) for point in points]
        swept = {key for grid in grids for key in grid}
        for point, grid in zip(points, grids, strict=True):
            found.setdefault(point["config_id"], command(argv, point["model"], grid, swept))
    return found


def command(argv: Sequence[str], model: str, grid: Mapping[str, Any], swept: Set[str]) -> str:
    """What was typed, with every swept key at one value; the seed is left to be given.

    Parameters
    ----------
    swept
        Keys that vary in the launch: those that are not in `grid` do not act on this point.

    Examples
    --------
    >>> typed = ["-m", "model=scvi,scvi_mine", "mine.scale=1,2", "train.epochs=9"]
    >>> command(typed, "scvi_mine", {"mine.scale": 2.0}, {"mine.scale"})
    'python -m bie.run -m train.epochs=9 model=scvi_mine mine.scale=2.0 outputs=again seed='
    """
    pinned = {"model": model, **grid}
    kept = [typed for typed in argv if typed != "-m" and not _replaced(typed, {"model"} | swept)]
    values = [f"{key}={_typed(value)}" for key, value in pinned.items()]
    return shlex.join(["python", "-m", "bie.run", "-m", *kept, *values, ELSEWHERE, "seed="])


def _replaced(typed: str, pinned: Set[str]) -> bool:
    key = typed.partition("=")[0].lstrip("+")
    section = key.partition("/")[0].partition(".")[0]
    return key in pinned or key.startswith("zip(") or bool({key, section} & _LAUNCH_ONLY)


def _typed(value: Any) -> str:
    """Value in Hydra's grammar."""
    plain = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum()
    return value if plain else json.dumps(value, ensure_ascii=False)
