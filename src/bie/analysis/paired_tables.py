"""The comparison with the baseline for people: both readings of every difference, side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bie.analysis.answer import answer, more_seeds
from bie.analysis.baseline import row_names
from bie.analysis.headings import heading, label, unit
from bie.analysis.marks import mark
from bie.analysis.numbers import NOTHING, interval, setting, short, with_interval
from bie.analysis.results import Results
from bie.analysis.table import Table
from bie.analysis.view import HEADLINE, SPLITS
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

FILES = ("dataset.path", "dataset.samples")
"""Settings that say which cells these are; others say what is made of them, which is no other data set."""
_HEADER = (
    *("row", "metric", "pairs", "difference, these {of}", "p (Holm)", "new {of}", "p (new {of})"),
    *("wins", "margin", "verdict"),
)
_LEGEND = (
    "row minus baseline on the same splits, [95 % interval]; these {of}: paired t-test, p after Holm's "
    "correction over the rows; new {of}: corrected for the overlap of the splits (Nadeau & Bengio 2003); "
    "wins: share of the splits in which the row is better; docs/verdict.md"
)


def paired_tables(results: Results) -> Iterator[Table]:
    """One table per data set and part of the cells, the headline metrics of each grid point."""
    found = results.comparison
    found = found[found["metric"].isin(HEADLINE) & (found["n_pairs"] > 0)]
    names = row_names(results.study)
    for split in SPLITS:
        for (dataset, baseline), part in found[found["split"] == split].groupby(
            ["dataset", "baseline_id"], sort=False
        ):
            of = results.study.sampled(part["config_id"])
            rows = tuple(_rows(names, part, of))
            header = tuple(name.format(of=of) for name in _HEADER)
            against = names[str(baseline)]
            below = answer(results.study, part, results.bounds, HEADLINE)
            title = f"{dataset}, {split} {of}, against {against}"
            yield Table(title, header, rows, tuple(below), (_LEGEND.format(of=of),), names=2)


def _rows(names: Mapping[str, str], part: "pd.DataFrame", of: str) -> Iterator[tuple[str, ...]]:
    headed = {metric: (heading(metric), unit(metric)) for metric in part["metric"].unique()}
    columns = (
        *("config_id", "metric", "n_pairs", "mean", "low", "high", "p_holm", "low_new", "high_new"),
        *("p_new", "win_rate", "margin", "verdict", "new_cells", "more_seeds"),
    )
    for row in zip(*(part[name].tolist() for name in columns), strict=True):
        config, metric, n, mean, low, high, p_holm, low_new, high_new, p_new, wins, margin, *verdict = row
        title, unit_ = headed[metric]
        yield (
            names[config],
            title,
            str(n),
            with_interval(mean, low, high, unit_),
            _p(p_holm),
            interval(low_new, high_new),
            _p(p_new),
            NOTHING if wins != wins else f"{wins:.0%}",
            NOTHING if margin != margin else short(f"{margin:.3g}"),
            _verdict(of, *verdict),
        )


def _p(value: float) -> str:
    if value != value:
        return NOTHING
    return "<.001" if value < 0.001 else short(f"{value:.3f}")


def _verdict(of: str, verdict: str, new_cells: str, seeds: Any) -> str:
    import pandas as pd

    if not verdict:
        return NOTHING
    needed = "" if seeds is pd.NA else f": {more_seeds(seeds)}"
    return f"{mark(verdict, new_cells)} {verdict}{needed}; new {of}: {new_cells}"


def across_tables(results: Results, splits: Sequence[str] = SPLITS) -> list[Table]:
    """Signs of the differences over several data sets, a row per grid point; nothing for one data set.

    Never a mean of means: data sets are few and differ in kind, so each has its own sign.
    """
    found = results.comparison
    found = found[found["metric"].isin(HEADLINE) & (found["n_pairs"] > 0) & (found["verdict"] != "")]
    found = found.assign(dataset=_data_sets(found))
    if found["dataset"].nunique() < 2:
        return []
    tables = []
    for split in splits:
        part = found[found["split"] == split]
        # without what belongs to the data set
        grid = tuple(key for key in results.study.grid if not key.startswith("dataset."))
        names = row_names(replace(results.study, grid=grid))
        header = ("row", *map(label, part["metric"].unique()))
        datasets = list(part["dataset"].unique())
        what = f"{split} {results.study.sampled(part['config_id'])}"
        rows = [
            (name, *(_signs(rows[rows["metric"] == metric], datasets) for metric in part["metric"].unique()))
            for name, rows in part.groupby(part["config_id"].map(names), sort=False)
            if rows["dataset"].nunique() > 1
        ]
        legend = (
            f"mark of each data set in the order {', '.join(datasets)} ({NOTHING}: not compared there), "
            "then how many are better : worse in the mean"
        )
        tables.append(
            Table(
                f"over {found['dataset'].nunique()} data sets, {what}",
                header,
                tuple(rows),
                (),
                (legend,),
                names=1,
            )
        )
    return [table for table in tables if table.rows]


def _data_sets(found: "pd.DataFrame") -> "pd.Series":
    """Name of the data set of each row; where several files share it, also the file."""
    names = found["dataset"].astype(str)
    for key in FILES:
        if key in found:
            shared = found.groupby("dataset")[key].transform("nunique") > 1
            names = names.where(~shared, names + " " + found[key].map(setting, na_action=None))
    return names


def _signs(rows: "pd.DataFrame", datasets: Sequence[str]) -> str:
    if not len(rows):
        return NOTHING
    found = rows.to_dict("records")
    sign = 1 if CARDS[found[0]["metric"]].direction == "higher" else -1
    of = {name: [row for row in found if row["dataset"] == name] for name in datasets}
    marks = " ".join(
        "".join(mark(row["verdict"], row["new_cells"]) for row in own) or NOTHING for own in of.values()
    )
    up = sum(sign * row["mean"] > 0 for row in found)
    down = sum(sign * row["mean"] < 0 for row in found)
    return f"{marks} ({up}:{down})"
