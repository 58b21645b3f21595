"""From the records of a study to its tables; reads records only, never imports torch.

>>> from bie.analysis import compare, load  # doctest: +SKIP
>>> compare(load("outputs/v1/quickstart"))  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from bie.analysis.baseline import Margin
    from bie.analysis.study import Study
    from bie.analysis.trade_offs import TradeOff


def load(tree: "Path | str | None" = None) -> "Study":
    """Read a study.

    Parameters
    ----------
    tree
        Its folder, ``outputs/<version>/<study>``; default: the newest study in ``outputs/``.

    Returns
    -------
    Study
        Its frames: ``grid_points``, ``runs``, ``values`` (numbers), ``reasons``.

    Raises
    ------
    BadInput
        There is no such study.
    """
    from pathlib import Path

    from bie.analysis.study import read_study
    from bie.store.paths import find_tree

    return read_study(find_tree(None if tree is None else Path(tree)))


def compare(
    study: "Study", baseline: str | None = None, margins: "Mapping[str, Margin] | None" = None
) -> "pd.DataFrame":
    """Compare each grid point with the baseline of its data set: see `bie.analysis.comparison.compare`."""
    from bie.analysis.comparison import compare

    return compare(study, baseline, margins)


def summarise(study: "Study") -> "pd.DataFrame":
    """Mean and spread of every metric over the seeds: see `bie.analysis.tidy.summarise`."""
    from bie.analysis.tidy import summarise

    return summarise(study)


def long_table(study: "Study") -> "pd.DataFrame":
    """Every number of every finished run: see `bie.analysis.tidy.long_table`."""
    from bie.analysis.tidy import long_table

    return long_table(study)


def trade_off(
    study: "Study",
    removal: str | None = None,
    conservation: str | None = None,
    split: str = "test",
    baseline: str | None = None,
) -> "list[TradeOff]":
    """Fronts of each data set that has a sweep of scales: see `bie.analysis.trade_offs.trade_offs`."""
    from bie.analysis.trade_offs import trade_offs

    return list(trade_offs(study, removal, conservation, split, baseline))
