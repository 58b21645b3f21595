"""The table that people read: a row per grid point, mean±sd of the main metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bie.analysis.notes import label, notes
from bie.analysis.study import Study
from bie.metrics.cards import CARDS
from bie.store.identity import SHOWN

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("asw", "nmi", "ari", "be", "probe_f1", "mi_ross", "elbo")
BRACKETS = {"be": ("be_ratio", "of ceiling"), "probe_f1": ("probe_f1_random", "of noise")}
"""What is shown behind a metric: another one, and what it says."""
ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}
NOTHING, INCOMPLETE = "–", "†"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    title
        What it shows.
    header, rows
        Texts; the first column names the model.
    notes
        Sentences that belong below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def wide_tables(study: Study, summary: "pd.DataFrame", split: str) -> Iterator[Table]:
    """One table per dataset for a split.

    Parameters
    ----------
    summary
        As `bie.analysis.tidy.summarise` returns it.
    """
    done = study.runs["state"].eq("done").groupby(study.runs["config_id"]).agg(["sum", "size"])
    counts = {config: f"{row['sum']}/{row['size']}" for config, row in done.to_dict("index").items()}
    for dataset, cells in study.cells.groupby("dataset", sort=False):
        part = summary[(summary["dataset"] == dataset) & (summary["split"] == split)]
        grid = [key for key in study.grid if cells[key].notna().any()]
        shown = [m for m in METRICS if (part.loc[part["metric"] == m, "n"] > 0).any()]
        figures = {(row["config_id"], row["metric"]): row for row in part.to_dict("records")}
        columns = {
            "model": cells["model"].tolist(),
            **{key: [_setting(value) for value in cells[key]] for key in grid},
            "n": [counts[config] for config in cells.index],
            **{_heading(m): [_cell(figures, config, m) for config in cells.index] for m in shown},
        }
        rows = zip(*columns.values(), strict=True)
        below = (*_units(shown), *notes(study, str(dataset), split))
        yield Table(f"{dataset}, {split} cells", tuple(columns), tuple(rows), below)


def _heading(metric: str) -> str:
    arrow = ARROWS[CARDS[metric].direction]
    return label(metric) + arrow + (f" ({BRACKETS[metric][1]})" if metric in BRACKETS else "")


def _units(metrics: list[str]) -> list[str]:
    units = [f"{label(metric)} in {CARDS[metric].unit}" for metric in metrics if CARDS[metric].unit]
    return ["; ".join(units)] if units else []


def _cell(figures: Mapping[tuple[str, str], Mapping[Any, Any]], config: str, metric: str) -> str:
    row, beside = figures[config, metric], figures.get((config, BRACKETS.get(metric, ("", ""))[0]))
    text = mean_sd(row["mean"], row["sd"]) + ("" if row["complete"] else INCOMPLETE)
    return f"{text} ({_short(format(beside['mean'], '.2f'))})" if beside and beside["n"] else text


def mean_sd(mean: float, sd: float) -> str:
    """Mean and standard deviation, the latter to two digits and the former to its last decimal.

    >>> mean_sd(0.7421, 0.0512), mean_sd(1234.56, 12.34), mean_sd(0.5, float("nan"))
    ('.742±.051', '1235±12', '.500')
    """
    if mean != mean:  # no run yet
        return NOTHING
    if not sd > 0:  # one run, or all alike
        decimals = max(0, 3 - len(str(int(abs(mean))).lstrip("0")))
        return _short(f"{mean:.{decimals}f}") + ("±0" if sd == 0 else "")
    decimals = min(max(0, 1 - int(f"{sd:.1e}".partition("e")[2])), 6)
    return f"{_short(f'{mean:.{decimals}f}')}±{_short(f'{sd:.{decimals}f}')}"


def _short(number: str) -> str:
    """Leave out the zero before the point, and the sign of zero."""
    sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
    digits = digits.removeprefix("0") if digits.startswith("0.") else digits
    return digits if not digits.strip("0.") else sign + digits


def _setting(value: Any) -> str:
    """Value of a setting as one would type it; what does not act here is a dash."""
    import pandas as pd

    if value is pd.NA or value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, bool):
        return str(value).lower()
    return value[:SHOWN] if len(str(value)) == 64 else str(value)
