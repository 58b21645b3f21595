"""Every grid point against its baseline: one row per data set, model, grid point, split and metric."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.analysis.baseline import Margin, absolute, baselines, margins
from bie.analysis.grid import OTHER_THAN_CELLS
from bie.analysis.paired import TIED, Inference, Moments, Numbers, new_cells
from bie.analysis.pairs import pair_runs, summed
from bie.analysis.study import Study
from bie.analysis.verdicts import Judged, judge, shown
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

SIGNS = {"higher": 1.0, "lower": -1.0, "none": 0.0}
COLUMNS = (
    *("config_id", "baseline_id", "n_pairs", "mean", "sd", "low", "high", "p", "p_holm"),
    *("low_new", "high_new", "p_new", "win_rate", "margin", "verdict", "more_seeds", "new_cells"),
)
"""Of the comparison, after what names its row."""


@dataclass(frozen=True)
class Differences:
    """Paired differences of a study, summed up by grid point.

    Attributes
    ----------
    rows
        A row per grid point that has a baseline and is none: ``config_id``, ``baseline_id``, ``group`` (its
        data set), ``asked`` (seeds asked of both), ``test_to_train`` (0 where each seed draws its data anew,
        so that none overlap; NaN where all pairs share one split, which tells nothing of the spread).
    pairs
        As `pair_runs` returns it.
    columns
        (split, metric) of each column of the arrays below, which have shape (rows, columns).
    moments
        Of the differences.
    low, high
        The smallest and the largest difference.
    missing
        Pairs that were asked for and have no number; not counted where several share a split.
    win_rate
        Share of the pairs in which the row beats the baseline, a tie counting half.
    sign, margin
        See `bie.analysis.verdicts.judge`.
    """

    rows: "pd.DataFrame"
    pairs: "pd.DataFrame"
    columns: "pd.Index[Any]"
    moments: Moments
    low: Numbers
    high: Numbers
    missing: Numbers
    win_rate: Numbers
    sign: Numbers
    margin: Numbers


def compare(
    study: Study, baseline: str | None = None, margins: Mapping[str, Margin] | None = None
) -> "pd.DataFrame":
    """Compare each grid point with the baseline of its data set, on their common splits.

    Parameters
    ----------
    study
        As `bie.analysis.load` returns it.
    baseline
        Row to compare with, see `bie.analysis.baseline.baselines`; default: the study's own, else the first
        ``scvi`` row.
    margins
        By metric, see `bie.analysis.baseline.margins`; what is not given here has its default.

    Returns
    -------
    DataFrame
        A row per grid point x split x metric, baselines left out: ``dataset``, ``model``, the settings that
        vary, ``split``, ``metric`` and `COLUMNS`. Differences are row minus baseline in the unit of the
        metric. ``mean sd low high p p_holm``: these cells, paired t-test, Holm's correction over the rows
        of a data set. ``low_new high_new p_new``: new cells, Nadeau & Bengio. ``verdict`` is ``better``,
        ``worse``, ``equal`` or ``open``, empty for a metric of which no direction is better; ``more_seeds``
        how many would close an open one, missing where that cannot be told.
    """

    return as_table(study, differences(study, baseline, margins))


def as_table(study: Study, found: Differences) -> "pd.DataFrame":
    """Judge the differences of a study: what `compare` returns."""
    judged = judge_groups(found)
    new = new_cells(found.moments, found.rows["test_to_train"].to_numpy(dtype=float)[:, None])
    here, moments = judged.inference, found.moments
    values = (
        *(moments.n.astype(int), moments.mean, moments.sd, here.low, here.high, here.p, judged.p_holm),
        *(new.low, new.high, new.p, found.win_rate, found.margin, judged.verdict, judged.more_seeds),
        shown(new),
    )
    wide = dict(zip(COLUMNS[2:], values, strict=True))
    row = np.repeat(np.arange(len(found.rows)), len(found.columns))
    names = study.grid_points.reindex(found.rows["config_id"]).reset_index()
    table = names.iloc[row].reset_index(drop=True).assign(**_long(found, wide))
    table["more_seeds"] = table["more_seeds"].astype("Float64").astype("Int64")
    return table[["dataset", "model", *study.grid, "split", "metric", *COLUMNS]]


def _long(found: Differences, wide: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays of shape (rows, columns) as columns of a long table, with what names their elements."""
    n_rows, n_columns = len(found.rows), len(found.columns)
    names = {name: np.repeat(found.rows[name].to_numpy(), n_columns) for name in ("config_id", "baseline_id")}
    for place, level in enumerate(("split", "metric")):
        names[level] = np.tile(found.columns.get_level_values(place).to_numpy(), n_rows)
    return {**names, **{name: values.ravel() for name, values in wide.items()}}


def bounds(found: Differences) -> "pd.DataFrame":
    """Verdicts if what is missing were the worst, and the best, seen.

    Returns
    -------
    DataFrame
        A row for each grid point x split x metric that has some pairs and lacks others: ``config_id``,
        ``split``, ``metric``, ``missing`` (pairs), ``n_pairs``, ``verdict``, ``worst``, ``best``.
    """
    import pandas as pd

    names = ["config_id", "split", "metric", "missing", "n_pairs", "verdict", "worst", "best"]
    if not ((found.missing > 0) & (found.moments.n > 0)).any():
        return pd.DataFrame(columns=names)
    wide = {"missing": found.missing, "n_pairs": found.moments.n, "verdict": judge_groups(found).verdict}
    wide |= {name: if_missing(found, name == "best").verdict for name in ("worst", "best")}
    table = pd.DataFrame(_long(found, wide))
    lacking = (table["missing"] > 0) & (table["n_pairs"] > 0) & (table["verdict"] != "")
    return table.loc[lacking, names]


def judge_groups(found: Differences) -> Judged:
    """Verdicts, Holm's families apart: a metric, a split, a data set."""
    shape = found.margin.shape
    p_holm, more = np.full(shape, np.nan), np.full(shape, np.nan)
    low, high, p = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    verdict = np.full(shape, "", dtype=object)
    for rows in found.rows.groupby("group", sort=False).indices.values():
        part = Moments(*(field[rows] for field in vars(found.moments).values()))
        judged = judge(part, found.sign, found.margin[rows])
        p_holm[rows], verdict[rows], more[rows] = judged.p_holm, judged.verdict, judged.more_seeds
        low[rows], high[rows], p[rows] = vars(judged.inference).values()
    return Judged(Inference(low, high, p), p_holm, verdict, more)


def if_missing(found: Differences, best: bool) -> Judged:
    """Verdicts if every pair that is missing had the best, or the worst, difference that its row has seen.

    Rows of which nothing is missing stay as they are, but for Holm's correction. Where one difference is all
    that was seen, the missing ones are the same to the last bit, and there is still no spread.
    """
    was, k = found.moments, np.where(found.moments.n > 0, found.missing, 0)
    extreme = np.where((found.sign > 0) == best, found.high, found.low)
    one = was.tied | (was.n == 1)
    seen = np.where(one, was.mean, extreme)
    n = was.n + k
    mean = np.where(one | (k == 0), was.mean, (was.n * was.mean + k * seen) / np.fmax(n, 1))
    squares = np.where(was.n > 1, (was.n - 1) * was.sd**2, 0)
    squares += was.n * (was.mean - mean) ** 2 + k * (seen - mean) ** 2
    sd = np.where(k > 0, np.sqrt(squares / np.fmax(n - 1, 1)), was.sd)
    return judge_groups(replace(found, moments=Moments(n, mean, sd)))


def differences(
    study: Study, baseline: str | None = None, given: Mapping[str, Margin] | None = None
) -> Differences:
    """Sum up the paired differences of every grid point from its baseline."""
    base, margin_of = baselines(study, baseline), margins(study, given)
    pairs, columns = pair_runs(study, base), study.values.columns
    rows = _rows(study, base, pairs)
    metrics = columns.get_level_values("metric")
    sign = np.array([SIGNS[CARDS[name].direction] if name in CARDS else 0.0 for name in metrics])
    found = summed(study, pairs, rows, sign)
    n, mean, sd, base_mean = (found[name] for name in ("n", "mean", "sd", "base_mean"))
    tied = (n >= 2) & (sd <= TIED * np.fmax(np.abs(mean), np.abs(base_mean)))
    margin = [absolute(margin_of.get(name), base_mean[:, i]) for i, name in enumerate(metrics)]
    n_pairs = found["n_pairs"]
    return Differences(
        rows=rows,
        pairs=pairs,
        columns=columns,
        moments=Moments(np.nan_to_num(n), mean, np.where(tied, 0.0, sd)),
        low=found["low"],
        high=found["high"],
        missing=np.where(n_pairs > n, 0, rows["asked"].to_numpy()[:, None] - np.nan_to_num(n_pairs)),
        win_rate=found["win_rate"],
        sign=sign,
        margin=np.stack(margin, axis=1) if margin else np.empty((len(rows), 0)),
    )


def _rows(study: Study, base: "pd.Series[str]", pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Grid points to compare, in the order of the table: see `Differences.rows`."""
    import pandas as pd

    compared = base.notna() & (base != base.index)
    named = pd.DataFrame({"baseline_id": base, "group": study.data_sets})[compared]
    rows = named.rename_axis("config_id").reset_index()
    configs, seeds = study.runs["config_id"], study.runs["seed"]
    asked = pd.Series(0.0, rows["config_id"])
    for baseline, of in rows.groupby("baseline_id", sort=False):
        both = configs.isin(of["config_id"]) & seeds.isin(seeds[configs == baseline])
        asked = asked.add(configs[both].value_counts(), fill_value=0)
    fractions = [study.configs.get(config, {}).get("split.train_fraction") for config in rows["config_id"]]
    fraction = pd.array(fractions, dtype="Float64").to_numpy(dtype=float, na_value=np.nan)
    anew = [study.configs.get(c, {}).get("dataset.source") in OTHER_THAN_CELLS for c in rows["config_id"]]
    ratio = np.where(anew, 0.0, (1 - fraction) / fraction)
    n_splits = pairs.groupby("config_id")["split_id"].nunique().reindex(rows["config_id"]).to_numpy()
    ratio = np.where(n_splits > 1, ratio, np.nan)
    return rows.assign(asked=asked.reindex(rows["config_id"]).to_numpy(), test_to_train=ratio)
