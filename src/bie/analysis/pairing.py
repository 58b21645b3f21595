"""Which runs of a study are compared with which: those of one split and one seed."""

from typing import TYPE_CHECKING

from bie.analysis.paired import Numbers
from bie.analysis.study import Study

if TYPE_CHECKING:
    import pandas as pd


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


def one_per_split(
    pairs: "pd.DataFrame", difference: Numbers, base: Numbers
) -> tuple["pd.Series[str]", Numbers, Numbers]:
    """Means over the pairs of a split: several seeds on one split are not several splits.

    Where there is but one split, its pairs stay apart, and the answer is about this split.

    Parameters
    ----------
    pairs
        As `pair_runs` returns them.
    difference, base
        Of each pair: differences from the baseline, and values of the baseline, shape (pairs, columns).

    Returns
    -------
    config_id, difference, base
        Of each split of a grid point, or of each pair where none share a split.
    """
    import pandas as pd

    n_splits = pairs.groupby("config_id")["split_id"].transform("nunique")
    keys = pairs[["config_id"]].assign(unit=pairs["split_id"].where(n_splits > 1, pairs["seed"].astype(str)))
    if not keys.duplicated().any():
        return pairs["config_id"], difference, base
    by = [keys["config_id"], keys["unit"]]
    means = [pd.DataFrame(values).groupby(by, sort=False).mean() for values in (difference, base)]
    return means[0].index.to_frame(index=False)["config_id"], means[0].to_numpy(), means[1].to_numpy()
