"""Which runs are paired, and their differences summed up by grid point."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.analysis.paired import TIED, Numbers
from bie.analysis.study import Study

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 8  # metrics that are summed up together


def pair_runs(study: Study, base: "pd.Series[str]") -> "pd.DataFrame":
    """Which runs are paired: those of one split and one seed.

    Parameters
    ----------
    base
        As `bie.analysis.baseline.baselines` returns it.

    Returns
    -------
    DataFrame
        A row per pair: ``config_id``, ``baseline_id``, ``split_id``, ``seed``, ``run_id``,
        ``baseline_run_id``, and ``row``, ``baseline_row`` (of `Study.runs` and `Study.values`).
    """
    done = study.runs.loc[study.runs["state"] == "done", ["config_id", "split_id", "seed", "run_id"]]
    done = done.assign(row=done.index)
    ours = done.assign(baseline_id=done["config_id"].map(base).astype(object))  # texts, even if there is none
    ours = ours[ours["baseline_id"].notna() & (ours["baseline_id"] != ours["config_id"])]
    names = {"config_id": "baseline_id", "run_id": "baseline_run_id", "row": "baseline_row"}
    theirs = done[done["config_id"].isin(set(base.dropna()))].rename(columns=names)
    pairs = ours.merge(theirs, on=["baseline_id", "split_id", "seed"])
    first = ["config_id", "baseline_id", "split_id", "seed", "run_id", "baseline_run_id"]
    return pairs[[*first, "row", "baseline_row"]]


def summed(study: Study, pairs: "pd.DataFrame", rows: "pd.DataFrame", sign: Numbers) -> dict[str, Numbers]:
    """Summaries of the differences by name, of some metrics at a time: of 100,000 runs all take 200 MB."""
    import pandas as pd

    values = study.values.to_numpy(dtype=float).T  # a metric after the other, as pandas holds them
    place = pd.Index(rows["config_id"]).get_indexer(pd.Index(pairs["config_id"]))
    split = _splits(pairs)
    parts = []
    for start in range(0, max(len(values), 1), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        base = np.take(values[part], pairs["baseline_row"], axis=1).T
        difference = np.take(values[part], pairs["row"], axis=1).T - base
        base[np.isnan(difference)] = np.nan
        difference[np.abs(difference) <= TIED * np.abs(base)] = 0  # .1 + .2 is no better than .3
        parts.append(_of_rows(difference, base, sign[part], place, split, len(rows)))
    return {name: np.concatenate([found[name] for found in parts], axis=1) for name in parts[0]}


def _of_rows(
    difference: Numbers,
    base: Numbers,
    sign: Numbers,
    place: NDArray[np.int64],
    split: NDArray[np.int64] | None,
    n_rows: int,
) -> dict[str, Numbers]:
    """Summaries of each grid point; arrays of shape (pairs, metrics) become such of (rows, metrics).

    Parameters
    ----------
    place
        Row of each pair.
    split
        As `_splits` returns it.
    """
    (n_pairs,) = _by_row(place, difference, n_rows, "count")
    if split is not None:
        difference, base = _means(split, difference), _means(split, base)
        place = place[np.unique(split, return_index=True)[1]]
    n, mean, sd, low, high = _by_row(place, difference, n_rows, "count", "mean", "std", "min", "max")
    (base_mean,) = _by_row(place, base, n_rows, "mean")
    won = np.where(sign == 0, np.nan, (np.sign(difference * sign) + 1) / 2)
    (win_rate,) = _by_row(place, won, n_rows, "mean")
    found = {"n_pairs": n_pairs, "n": n, "mean": mean, "sd": sd, "low": low, "high": high}
    return {**found, "base_mean": base_mean, "win_rate": win_rate}


def _splits(pairs: "pd.DataFrame") -> NDArray[np.int64] | None:
    """Number of the split of each pair, by grid point: several seeds on one split are not several splits.

    Where a grid point has but one split, its pairs stay apart, and the answer is about this split. None
    where no two pairs share one.
    """
    if not pairs.duplicated(["config_id", "split_id"]).any():
        return None
    n_splits = pairs.groupby("config_id")["split_id"].transform("nunique")
    keys = pairs[["config_id"]].assign(unit=pairs["split_id"].where(n_splits > 1, pairs["seed"].astype(str)))
    if not keys.duplicated().any():
        return None
    return np.asarray(keys.groupby(["config_id", "unit"], sort=False).ngroup(), np.int64)


def _means(group: NDArray[np.int64], values: Numbers) -> Numbers:
    """Means of the rows of each group, in the order of their numbers."""
    import pandas as pd

    return pd.DataFrame(values).groupby(group).mean().to_numpy()


def _by_row(place: NDArray[np.int64], values: Numbers, n_rows: int, *what: str) -> Iterator[Numbers]:
    """Summaries of the values at each place."""
    import pandas as pd

    grouped = pd.DataFrame(values).groupby(place, sort=False)
    for name in what:
        yield getattr(grouped, name)().reindex(range(n_rows)).to_numpy(dtype=float)
