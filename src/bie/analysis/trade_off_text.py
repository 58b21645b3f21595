"""The trade-off of each sweep of scales, or of preferences, in sentences."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bie.analysis.headings import heading
from bie.analysis.numbers import interval, mean_sd, with_interval
from bie.analysis.paired import ALPHA
from bie.analysis.trade_offs import WEIGHTS, TradeOff

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS, MOST_DOMINATED, MOST_LEFT_OUT = 10, 8, 8
"""Named each; of more, the rest is counted."""


def as_lines(found: TradeOff) -> Iterator[str]:
    """A title, a line per front, one per pair of fronts, then what is dominated and what a run costs."""
    metrics = (found.removal, found.conservation)
    axes = " against ".join(heading(name) for name in metrics)
    n = len(found.hypervolumes)
    splits = f"{n} common split{'s' * (n != 1)}"
    yield f"trade-off, {found.dataset}, {found.split} cells: {axes}, {splits}{_baseline(found)}"
    for front, points in found.points.groupby("front", sort=False):
        volume = found.hypervolumes[str(front)]
        spread = float(volume.std(ddof=1)) if n > 1 else float("nan")
        share = f"hypervolume {mean_sd(float(volume.mean()), spread)} of the box of all values seen"
        yield f"  {front}: {_weights(str(front), int(points['scale'].count()))}; {share}; {_knee(points)}"
    if found.points.groupby("front")["scale"].nunique().nunique() > 1:
        yield "  fronts of unequal numbers of grid points: the one with more has more chances of a volume"
    if found.left_out:
        more = f"; and {len(found.left_out) - MOST_LEFT_OUT} more" * (len(found.left_out) > MOST_LEFT_OUT)
        yield f"  left out, no run has both numbers: {'; '.join(found.left_out[:MOST_LEFT_OUT])}{more}"
    yield from _differences(found.differences)
    yield from _dominated(found.points)
    yield from _costs(found.points)


def _baseline(found: TradeOff) -> str:
    """What stands in each front: a row without a penalty, or one that has a scale of its own."""
    own = found.points.loc[found.points["row"] == found.baseline, "scale"]
    if own.notna().any():
        return f"; baseline {found.baseline}"
    return "; baseline as scale 0" * bool(found.baseline)


def _weights(front: str, n: int) -> str:
    what = "preference" if front.endswith(WEIGHTS[".preference"]) else "scale"
    return f"{n} {what}{'s' * (n != 1)}"


def _knee(points: "pd.DataFrame") -> str:
    best = points.iloc[points["knee"].argmax()]
    if not best["knee"]:
        return "no knee"
    return f"knee at {best['row']} ({best['knee']:.0%} of the splits)"


def _differences(pairs: "pd.DataFrame") -> Iterator[str]:
    """A line per pair of fronts; of many pairs those that are told apart, and how many are not."""
    shown = pairs if len(pairs) <= MOST_PAIRS else pairs[pairs["p_holm"] < ALPHA]
    for row in shown.to_dict("records"):
        yield f"  {_difference(row)}"
    if len(shown) < len(pairs):
        yield f"  hypervolumes not told apart, of {len(pairs)} pairs of fronts: {len(pairs) - len(shown)}"


def _difference(row: Mapping[Any, Any]) -> str:
    first, second = row["front"], row["other"]
    sure = row["p_holm"] < ALPHA
    if row["low"] != row["low"]:
        return f"{first} and {second}: too little spread or too few splits to compare their hypervolumes"
    seen = with_interval(row["mean"], row["low"], row["high"])
    if not sure:
        return f"{first} against {second}: hypervolumes not told apart, {seen}"
    new = interval(row["low_new"], row["high_new"])
    there = f"{new} on new ones" if row["low_new"] * row["high_new"] > 0 else f"not shown for new cells {new}"
    return f"{first} {'above' if row['mean'] > 0 else 'below'} {second}: {seen} on these cells, {there}"


def _dominated(points: "pd.DataFrame") -> Iterator[str]:
    found = points[points["dominated_by"].notna()].drop_duplicates("config_id")
    if len(found):
        each = [
            f"{row['row']} by {row['dominated_by']} ({row['in_splits']:.0%} of the splits)"
            for row in found.head(MOST_DOMINATED).to_dict("records")
        ]
        more = f"; and {len(found) - len(each)} more" if len(found) > len(each) else ""
        yield f"  dominated in the mean: {'; '.join(each)}{more}"


def _costs(points: "pd.DataFrame") -> Iterator[str]:
    """How much longer a run takes than the baseline: no equal cost unless it says 1."""
    base = points.loc[points["scale"].isna(), "seconds"]
    mean = points[points["scale"].notna()].groupby("front", sort=False)["seconds"].mean()
    if len(base) and base.iloc[0] > 0 and mean.notna().all():
        each = ", ".join(f"{front} {seconds / base.iloc[0]:.1f}" for front, seconds in mean.items())
        yield f"  cost of a run, in runs of the baseline: {each}"
