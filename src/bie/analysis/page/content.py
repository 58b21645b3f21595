"""What the page shows, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bie.analysis.headings import label, unit
from bie.analysis.marks import mark
from bie.analysis.numbers import difference, mean_sd
from bie.analysis.parse import SPLITS
from bie.analysis.results import Results
from bie.analysis.titles import setting, shared_columns, short_keys, titles
from bie.metrics.cards import CARDS
from bie.store.record import first_line, normalised

if TYPE_CHECKING:
    import pandas as pd

SEEDS = 12  # named of a group of failures


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the table: text, value to sort by, verdict with its mark, words for who hovers."""

    text: str
    value: float | None
    verdict: str = ""
    mark: str = ""
    words: str = ""


@dataclass(frozen=True)
class Row:
    """A grid point of the table."""

    config_id: str
    title: str
    first: tuple[str, ...]
    runs: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of a data set and a split: a row for each grid point, a column for each metric."""

    dataset: str
    split: str
    of: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Failures:
    """Runs that failed alike."""

    cause: str
    message: str
    n: int
    where: str
    example: str


def tables(results: Results) -> list[Table]:
    """The tables of all metrics that any run has."""
    found = []
    study, summary, compared = results.study, results.summary, results.comparison
    numbers = _by_key(summary, "mean", "sd", "n", "n_expected")
    verdicts = _by_key(compared, "verdict", "n_pairs", "mean", "low", "high", "new_cells")
    counts = study.runs["state"].eq("done").groupby(study.runs["config_id"]).agg(["sum", "size"])
    runs = {str(config): f"{row['sum']}/{row['size']}" for config, row in counts.to_dict("index").items()}
    for dataset, points in study.grid_points.groupby("dataset", sort=False):
        keys = shared_columns(points, [str(key) for key in study.grid if points[key].notna().any()])
        names, of = titles(points), study.sampled(points.index)
        for split in reversed(SPLITS):
            part = summary[(summary["dataset"] == dataset) & (summary["split"] == split) & (summary["n"] > 0)]
            shown = tuple(dict.fromkeys(part["metric"]))
            rows = [
                Row(
                    str(config),
                    names[str(config)],
                    (str(row["model"]), *(_first(row, alike) for alike in keys.values())),
                    runs[str(config)],
                    tuple(
                        _cell(
                            metric, numbers[split, config, metric], verdicts.get((split, config, metric)), of
                        )
                        for metric in shown
                    ),
                )
                for config, row in zip(points.index, points.to_dict("records"), strict=True)
            ]
            columns = ("model", *short_keys(list(keys)).values(), "runs")
            found.append(Table(str(dataset), split, of, columns, shown, tuple(rows)))
    return found


def _first(row: Mapping[Any, Any], keys: Sequence[str]) -> str:
    """Value of the one setting that acts."""
    return next(filter(None, (setting(row[key]) for key in keys)), "–")


def _by_key(frame: "pd.DataFrame", *names: str) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """Some columns of each row by split, ``config_id`` and metric."""
    keys = zip(*(frame[name].tolist() for name in ("split", "config_id", "metric")), strict=True)
    return dict(zip(keys, zip(*(frame[name].tolist() for name in names), strict=True), strict=True))


def _cell(metric: str, number: tuple[Any, ...], compared: tuple[Any, ...] | None, of: str) -> Cell:
    mean, sd, n, n_expected = number
    text = mean_sd(mean, sd) + (f" (n {n})" if n not in (0, n_expected) else "")
    value = mean if mean == mean else None
    if not compared or not compared[0] or compared[1] < 2:
        return Cell(text, value)
    kind, _, gain, low, high, new_cells = compared
    words = f"{kind}: {difference(gain, low, high, unit(metric))}; new {of}: {new_cells}"
    return Cell(text, value, kind, mark(kind, new_cells), words)


def metric_cards(metrics: Sequence[str]) -> list[dict[str, str]]:
    """What a reader has to know of each metric."""
    arrows = {"higher": "higher is better", "lower": "lower is better", "none": ""}
    return [
        {
            "name": name,
            "label": label(name),
            "direction": arrows[CARDS[name].direction] if name in CARDS else "",
            "unit": unit(name),
            "reference": CARDS[name].reference if name in CARDS else "",
        }
        for name in metrics
    ]


def failures(runs: "pd.DataFrame", names: Mapping[str, str], tree: str) -> list[Failures]:
    """Failed runs, those of one reason together, the most frequent first.

    Parameters
    ----------
    names
        Titles of the grid points by ``config_id``.
    tree
        The study as a command names it.
    """
    failed = runs[runs["state"] == "failed"]
    groups: dict[tuple[str, str], list[Mapping[Any, Any]]] = {}
    for row in failed.to_dict("records"):
        groups.setdefault((row["cause"], normalised(row["message"])), []).append(row)
    return [
        Failures(cause, _message(rows[0]), len(rows), _where(rows, names), _logs(rows[0], tree))
        for (cause, _), rows in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def _message(row: Mapping[Any, Any]) -> str:
    return first_line(row["message"])[:300] or "no message"


def _where(rows: Sequence[Mapping[Any, Any]], names: Mapping[str, str]) -> str:
    seeds: dict[str, list[int]] = {}
    for row in rows:
        seeds.setdefault(names[row["config_id"]], []).append(row["seed"])
    parts = [
        f"{point}: seed{'s' * (len(found) != 1)} {', '.join(map(str, sorted(found)[:SEEDS]))}"
        + " …" * (len(found) > SEEDS)
        for point, found in list(seeds.items())[:SEEDS]
    ]
    return "; ".join(parts) + (f"; and {len(seeds) - SEEDS} more grid points" if len(seeds) > SEEDS else "")


def _logs(row: Mapping[Any, Any], tree: str) -> str:
    return f"bie logs {tree}/{row['where'].rpartition('/')[0]}"
