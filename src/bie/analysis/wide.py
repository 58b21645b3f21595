"""The table that people read: a row per grid point, mean±sd of the main metrics, marked by verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bie.analysis import marks
from bie.analysis.answer import answer
from bie.analysis.baseline import any_of, baselines, row_names
from bie.analysis.controls import Scale, scale_of
from bie.analysis.headings import heading, label, unit
from bie.analysis.notes import notes
from bie.analysis.numbers import NOTHING, hundredths, mean_sd, setting, with_interval
from bie.analysis.results import Results
from bie.analysis.study import Study
from bie.analysis.table import LEGEND, Table
from bie.analysis.titles import shared_columns
from bie.analysis.view import HEADLINE, View, by_facet, points

if TYPE_CHECKING:
    import pandas as pd

BRACKETS = {
    "be": ("be_ratio", "of ceiling"),
    "probe_f1": ("probe_f1_random", "of noise"),
    "map": ("map_chance", "chance"),
    "precision_at_r": ("precision_at_r_chance", "chance"),
}
"""What is shown behind a metric: another one, and what it says."""
INCOMPLETE = "†"
_RESCALED = (
    "rescaled: 0 the worst and 1 the best of the controls, [95 % interval] with the spread of the controls"
)


def wide_tables(results: Results, view: View) -> Iterator[Table]:
    """Tables of a view: one for each part (test, train) and facet."""
    selected = points(results.study, view)
    for split in view.splits:
        for values, part in by_facet(selected, view.facets):
            title = ", ".join([*_named(view.facets, values), f"{split} {results.study.sampled(part.index)}"])
            yield replace(_table(_Figures(results, view, part, split)), title=title)


def _named(facets: Sequence[str], values: Any) -> list[str]:
    pairs = zip(facets, values, strict=True)
    return [setting(v) if key == "dataset" else f"{key}={setting(v)}" for key, v in pairs]


def _table(found: "_Figures") -> Table:
    view, selected, study = found.view, found.points, found.study
    rows = _row_columns(study, view, selected)
    telling = [*(key for keys in rows.values() for key in keys), *view.columns]
    if len(set(_texts(selected, telling))) < len(selected):  # of which nothing but their runs is known
        selected = selected.assign(config_id=selected.index)
        rows = {**rows, "config_id": ["config_id"]}
    first = zip(*(_first(selected, keys) for keys in rows.values()), strict=True)
    lines: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for config, named, column in zip(selected.index, first, _texts(selected, view.columns), strict=True):
        lines.setdefault(named, {})[column] = config
    columns = list(dict.fromkeys(column for line in lines.values() for column in line))
    header = list(rows)
    for column in columns:
        prefix = "".join(f"{key}={value} " for key, value in zip(view.columns, column, strict=True))
        header += [f"{prefix}n", *(prefix + found.heading(metric) for metric in found.metrics)]
    body = [
        [*line, *(text for column in columns for text in found.cells(configs.get(column)))]
        for line, configs in lines.items()
    ]
    body += [[name, *[NOTHING] * (len(rows) - 1), *texts * len(columns)] for name, texts in found.ends()]
    below = [
        *found.verdicts(),
        *found.without_ends(),
        *_units(found.metrics),
        *_notes(study, selected, found.split, view),
    ]
    return Table("", tuple(header), tuple(map(tuple, body)), tuple(below), found.legend(body), len(rows))


def _row_columns(study: Study, view: View, selected: "pd.DataFrame") -> dict[str, list[str]]:
    """Columns that name a row: settings asked for first, then all others that tell the grid points apart."""
    others = [str(key) for key in selected if key not in (*view.rows, *view.columns, *view.facets)]
    telling = [key for key in others if key in study.grid or selected[key].nunique(dropna=False) > 1]
    used = [key for key in telling if selected[key].notna().any()]
    rest = [key for key in dict.fromkeys(["model", *used]) if key in others]
    return {key: [key] for key in view.rows} | shared_columns(selected, rest)


def _first(selected: "pd.DataFrame", keys: Sequence[str]) -> list[str]:
    """Value of the one setting that acts, of each grid point."""
    return [next((text for text in texts if text != NOTHING), NOTHING) for texts in _texts(selected, keys)]


def _texts(selected: "pd.DataFrame", keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Values of the settings of each grid point."""
    n = len(selected)
    columns = [map(setting, map(selected[key].array.__getitem__, range(n))) for key in keys]
    return list(zip(*columns, strict=True)) if columns else [()] * n


class _Figures:
    """The numbers of the grid points of one table, as texts."""

    def __init__(self, results: Results, view: View, selected: "pd.DataFrame", split: str) -> None:
        self.study, self.bounds = results.study, results.bounds
        self.view, self.points, self.split = view, selected, split
        self.base = baselines(results.study, results.baseline)
        summary, comparison = results.summary, results.comparison
        part = summary[summary["config_id"].isin(selected.index) & (summary["split"] == split)]
        with_value = set(part.loc[part["n"] > 0, "metric"])
        self.metrics = [metric for metric in view.metrics if metric in with_value]
        behind = {BRACKETS[metric][0] for metric in self.metrics if metric in BRACKETS}
        data_sets = results.study.data_sets
        alike = data_sets.loc[selected.index].unique()
        # rows are rescaled by the controls of their cells, though these be in another table or in none
        on = data_sets.index[data_sets.isin(alike)] if view.rescale else selected.index
        part = summary[summary["config_id"].isin(on) & (summary["split"] == split)]
        self.rows = _rows(part[part["metric"].isin([*self.metrics, *behind])])
        if view.metrics == HEADLINE:
            self.metrics = [metric for metric in self.metrics if metric not in behind]
        here = comparison["config_id"].isin(selected.index) & (comparison["split"] == split)
        self.comparison = comparison[here]
        self.marks = marks.marks(self.comparison)
        # a scale is that of one data set
        self.scale: Scale | None = scale_of(results.study, on, self.rows) if len(alike) == 1 else None
        runs = results.study.runs[results.study.runs["config_id"].isin(selected.index)]
        done = runs["state"].eq("done").groupby(runs["config_id"].to_numpy()).agg(["sum", "size"])
        self.counts = {config: f"{row['sum']}/{row['size']}" for config, row in done.to_dict("index").items()}
        self.finished = set(done.index[done["sum"] == done["size"]])

    def heading(self, metric: str) -> str:
        """Name of a metric, and what stands in brackets behind its numbers."""
        other, says = BRACKETS.get(metric, ("", ""))
        shown = not self.view.rescale and any(
            key in self.rows and self.rows[key]["n"] for key in ((c, other) for c in self.points.index)
        )
        return heading(metric) + (f" ({says})" if shown else "")

    def cells(self, config: str | None) -> list[str]:
        """Count of runs and values of a grid point; dashes where there is none."""
        if config is None:
            return [NOTHING] * (1 + len(self.metrics))
        return [self.counts[config], *(self._cell(config, metric) for metric in self.metrics)]

    def _cell(self, config: str, metric: str) -> str:
        row = self.rows[config, metric]
        lacking = not row["n"] and config in self.finished  # a model without critic has no bound of one
        number = self._number(config, metric)
        if self.view.rescale and number == NOTHING:  # no scale: there may be a verdict, but on no number here
            return NOTHING
        text = number + ("" if row["complete"] or lacking else INCOMPLETE)
        text = " ".join(filter(None, [text, self.marks.get((config, self.split, metric))]))
        beside = self.rows.get((config, BRACKETS.get(metric, ("", ""))[0]))
        with_bracket = beside and beside["n"] and not self.view.rescale
        return f"{text} ({hundredths(beside['mean'])})" if beside and with_bracket else text

    def _number(self, config: str, metric: str) -> str:
        row = self.rows[config, metric]
        if not self.view.rescale:
            return mean_sd(row["mean"], row["sd"])
        if self.scale is None or not row["n"]:
            return NOTHING
        found = self.scale.rescaled(config, metric)
        return NOTHING if found.mean != found.mean else with_interval(found.mean, found.low, found.high)

    def without_ends(self) -> Iterator[str]:
        """Which metrics have no floor, as all controls are alike in them, or may be."""
        found: dict[str, list[str]] = {}
        for metric in self.metrics:
            if self.scale and metric in self.scale.floor and not self.scale.spans(metric):
                of_one = self.scale.of_one_run(metric)
                why = "the worst or the best control has one run only" if of_one else "the controls are alike"
                found.setdefault(why, []).append(label(metric))
        for why, alike in found.items():
            yield f"{', '.join(alike)}: {why}, so there is no scale of floor and ceiling"

    def ends(self) -> Iterator[tuple[str, list[str]]]:
        """Lines of the floor and the ceiling that the controls set."""
        if self.scale is None or self.view.rescale:
            return
        for name, configs in (("floor", self.scale.floor), ("ceiling", self.scale.ceiling)):
            found = [configs.get(metric) if self.scale.spans(metric) else None for metric in self.metrics]
            if not any(found):
                continue
            texts = [
                f"{self._number(c, m)} ({self.points.loc[c, 'model']!s})" if c else NOTHING
                for c, m in zip(found, self.metrics, strict=True)
            ]
            yield name, [NOTHING, *texts]

    def verdicts(self) -> list[str]:
        """Sentences that answer the question, or why there is no answer."""
        names, datasets = row_names(self.study), self.study.grid_points["dataset"]
        if self.points["dataset"].nunique() > 1:  # sentences on several data sets
            names = {config: f"{datasets[config]} {name}" for config, name in names.items()}
        found = answer(self.study, self.comparison, self.bounds, self.metrics, names)
        return found or ([f"nothing is compared: {why}"] if (why := self._uncompared()) else [])

    def _uncompared(self) -> str:
        if len(self.comparison) and not self.comparison["n_pairs"].any():
            return "no row has a split in common with its baseline"
        scvi = [c for c in self.points.index if "model.likelihood" in self.study.configs.get(c, {})]
        if len(scvi) > 1 and self.base.loc[self.points.index].isna().all():
            return "no row here is the baseline (another one: study.baseline=ROW)"
        return ""

    def legend(self, body: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """What numbers and marks are, as far as they occur."""
        numbers = _RESCALED if self.view.rescale else LEGEND
        if any(INCOMPLETE in cell for row in body for cell in row):
            numbers += f"; {INCOMPLETE} fewer runs than expected"
        if not self.marks:
            return (numbers,)
        names, of = row_names(self.study), self.study.sampled(self.points.index)
        base = list(dict.fromkeys(names[config] for config in self.comparison["baseline_id"].unique()))
        return numbers, f"against {any_of(base)}: {marks.legend(of)}"


def _rows(summary: "pd.DataFrame") -> dict[tuple[str, str], dict[str, Any]]:
    """Numbers by grid point and metric."""
    names = ["mean", "sd", "n", "complete"]
    keys = zip(summary["config_id"], summary["metric"], strict=True)
    rows = zip(*(summary[name].tolist() for name in names), strict=True)
    return {key: dict(zip(names, row, strict=True)) for key, row in zip(keys, rows, strict=True)}


def _units(metrics: Sequence[str]) -> list[str]:
    units = [f"{label(metric)} in {unit(metric)}" for metric in metrics if unit(metric)]
    return ["; ".join(units)] if units else []


def _notes(study: Study, selected: "pd.DataFrame", split: str, view: View) -> list[str]:
    asked = None if view.metrics == HEADLINE else view.metrics
    points = study.grid_points.loc[selected.index].groupby("dataset", sort=False)
    found = {str(name): notes(study, part, split, asked) for name, part in points}
    return [f"{name}: {note}" if len(found) > 1 else note for name, each in found.items() for note in each]
