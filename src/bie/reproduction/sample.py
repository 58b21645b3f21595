"""Some runs behind a table, the grid points in turn, and what the share of them that held says of all."""

import random
from collections import defaultdict
from itertools import chain, islice, zip_longest
from pathlib import Path

from bie.errors import BadInput
from bie.store.paths import Tree, find_tree
from bie.store.record import RECORD


def tree_behind(table: Path) -> Tree:
    """Study that a table was made from, given the table's file, its folder or the study's.

    Raises
    ------
    BadInput
        The path is none of these.
    """
    places = [place for place in (table, *table.absolute().parents[:2]) if (place / "runs").is_dir()]
    return Tree(places[0]) if places else find_tree(table)


def stratified(tree: Tree, n: int, seed: int = 0) -> tuple[list[Path], int]:
    """Folders of up to `n` finished runs, one of each grid point before a second of any; and of how many.

    The same study and seed give the same runs.
    """
    strata = defaultdict(list)
    for path in sorted(tree.runs.glob(f"*/*/*/seed=*/{RECORD}")):
        strata[path.parent.parent].append(path.parent)
    if not strata:
        raise BadInput(f"{tree.root}: no run of this study is done")
    draw = random.Random(seed)
    shuffled = [draw.sample(runs, len(runs)) for runs in strata.values()]
    in_turn = (run for run in chain.from_iterable(zip_longest(*shuffled)) if run is not None)
    return list(islice(in_turn, n)), sum(map(len, strata.values()))


def share(held: int, n: int) -> str:
    """Share that held with its 95 % interval (Wilson 1927), in words.

    >>> share(9, 10)
    '9 of 10 held: share .90, 95 % interval .60 to .98'
    """
    from scipy.stats import binomtest

    interval = binomtest(held, n).proportion_ci(method="wilson")
    parts = (f"{value:.2f}".removeprefix("0") for value in (held / n, interval.low, interval.high))
    return "{} of {} held: share {}, 95 % interval {} to {}".format(held, n, *parts)
