"""The question answered in sentences: is it better, by how much, how sure?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bie.analysis.baseline import FEW_NAMED, row_names
from bie.analysis.controls import is_control
from bie.analysis.headings import label
from bie.analysis.numbers import interval, short, with_interval
from bie.analysis.study import Study
from bie.analysis.tidy import records
from bie.analysis.verdicts import BETTER, EQUAL, OPEN, SHOWN, WORSE
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

MIXING = ("be", "be_ratio", "ilisi", "silhouette_batch", "probe_f1", "probe_auc", "mi_ross")
CONSERVATION = ("ari", "nmi", "uca", "asw", "clisi")
MOST_ROWS = 12
"""More rows than these are in paired.md alone."""

Row = Mapping[Any, Any]


def answer(
    study: Study,
    comparison: "pd.DataFrame",
    bounds: "pd.DataFrame",
    metrics: Sequence[str],
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Sentences below a table.

    Parameters
    ----------
    comparison
        Rows of `bie.analysis.compare` for the grid points and the part that the table shows.
    bounds
        As `bie.analysis.comparison.bounds` returns it.
    metrics
        Those that it shows.
    names
        Of the grid points by ``config_id``; None: as one would type them.
    """
    found = comparison[comparison["metric"].isin(metrics) & (comparison["n_pairs"] > 0)]
    names = row_names(study) if names is None else names
    compared = list(dict.fromkeys(found["config_id"]))
    arms = [config for config in compared if not is_control(study, config)]
    shown, tied = arms[:MOST_ROWS], set(found.loc[(found["n_pairs"] > 1) & (found["sd"] == 0), "config_id"])
    by_point: dict[str, dict[str, Row]] = {}
    for row in records(found[found["config_id"].isin({*shown, *tied})]):
        by_point.setdefault(row["config_id"], {})[row["metric"]] = row
    sentences = [sentence for config in shown for sentence in _sentence(names[config], by_point[config])]
    if len(arms) > MOST_ROWS:
        sentences.append(f"{len(arms) - MOST_ROWS} more rows: paired.md")
    several = set(found.loc[found["n_pairs"] > 1, "config_id"])  # of one pair, worst and best are the same
    here = bounds[bounds["config_id"].isin(several) & bounds["split"].isin(found["split"].unique())]
    lacking = _missing(names, here[here["metric"].isin(metrics)])
    ties = _ties(names, {config: by_point[config] for config in arms if config in tied})
    return [*lacking, *sentences, *ties, *_one_split(study, arms)]


def _missing(names: Mapping[str, str], bounds: "pd.DataFrame") -> Iterator[str]:
    """What the verdicts would be if the missing pairs were the worst, and the best, seen."""
    groups = list(bounds.groupby("config_id", sort=False))
    for config, rows in groups[:MOST_ROWS]:
        n = int(rows["missing"].max())
        beginning = f"{names[str(config)]}: {n} pair{'s' * (n != 1)} missing"
        what = "; ".join(_changes(rows)) or "every verdict stays"
        yield f"{beginning}; were they the worst or the best seen: {what}"
    if len(groups) > MOST_ROWS:
        yield f"{len(groups) - MOST_ROWS} more rows lack pairs: ask for them by --where"


def _changes(bounds: "pd.DataFrame") -> Iterator[str]:
    for case in ("worst", "best"):
        changed = bounds[bounds[case] != bounds["verdict"]]
        parts = [
            f"{', '.join(map(label, rows['metric']))} {was} -> {then}"
            for (was, then), rows in changed.groupby(["verdict", case], sort=False)
        ]
        if parts:
            yield f"at the {case} {', '.join(parts)}"


def _sentence(name: str, rows: Mapping[str, Row]) -> Iterator[str]:
    """What a grid point gains in mixing and what it costs in conservation."""
    parts = []
    for what, metrics in (("mixing", MIXING), ("conservation", CONSERVATION)):
        metric = next((name for name in metrics if name in rows), None)
        if metric:
            parts.append(f"{what} ({label(metric)}) {in_words(rows[metric])}")
    if parts:
        yield f"{name}: {'; '.join(parts)}"


def in_words(row: Row) -> str:
    """Say the verdict on a comparison, in both readings.

    Parameters
    ----------
    row
        Of `bie.analysis.compare`.
    """
    card, verdict = CARDS[row["metric"]], row["verdict"]
    if row["low"] != row["low"]:  # one pair, or no spread
        seen = with_interval(row["mean"], 0, 0, card.unit).removesuffix(" [no interval]")
        return f"{_word(row)}, {seen} in {row['n_pairs']} pair{'s' * (row['n_pairs'] != 1)}"
    if verdict == EQUAL:
        return f"{_word(row)} {interval(row['low'], row['high'])}"
    seen = f"{_word(row)} {with_interval(abs(row['mean']), *_ends(row), card.unit)}"
    if verdict == OPEN:
        return f"{_word(row)}, {with_interval(row['mean'], row['low'], row['high'], card.unit)}"
    new = interval(*_ends(row, "_new"))
    return f"{seen} on these cells, " + (
        f"{new} on new ones" if row["new_cells"] == SHOWN else f"not shown for new cells {new}"
    )


def _ends(row: Row, reading: str = "") -> tuple[float, float]:
    """Interval of the gain or the loss that `in_words` names, both ends turned with it."""
    low, high = row[f"low{reading}"], row[f"high{reading}"]
    return (low, high) if row["mean"] >= 0 else (-high, -low)


def _word(row: Row) -> str:
    import pandas as pd

    if row["verdict"] == EQUAL:
        margin = short(format(row["margin"], ".3g"))
        return f"equal within {margin}"
    if row["verdict"] == OPEN:
        return "open" if pd.isna(row["more_seeds"]) else f"open ({more_seeds(row['more_seeds'])})"
    return {BETTER: "gains", WORSE: "loses"}[row["verdict"]]


def more_seeds(n: int) -> str:
    """How many seeds would close an open verdict.

    >>> more_seeds(1), more_seeds(12)
    ('1 more seed', '12 more seeds')
    """
    return f"{n:,} more seed{'s' * (n != 1)}"


def _ties(names: Mapping[str, str], arms: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    """Comparisons without any spread, which is no certainty however many seeds agree; rows alike together."""
    alike: dict[str, list[str]] = {}
    for config, rows in arms.items():
        tied = [label(row["metric"]) for row in rows.values() if row["n_pairs"] > 1 and row["sd"] == 0]
        alike.setdefault(", ".join(tied), []).append(names[config])
    for metrics, rows_alike in alike.items():
        who = "; ".join(rows_alike) if len(rows_alike) <= FEW_NAMED else f"each of {len(rows_alike)} rows"
        if metrics:
            yield (
                f"{who}: all differences in {metrics} are the same; "
                "no spread to judge by, which is no certainty: judged by their signs"
            )


def _one_split(study: Study, arms: Sequence[str]) -> Iterator[str]:
    done = study.runs[(study.runs["state"] == "done") & study.runs["config_id"].isin(arms)]
    per_point = done.groupby("config_id", observed=True)["split_id"].agg(["nunique", "size"])
    if ((per_point["nunique"] == 1) & (per_point["size"] > 1)).any():
        of = study.sampled(arms)
        yield f"all seeds share one split: the verdicts are about this split, not about these {of}"
