"""Every figure that a study has data for, with the sentence that stands below it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from bie.analysis.by_type import by_type
from bie.analysis.controls import is_control
from bie.analysis.figures.bars import bars
from bie.analysis.figures.cost import cost
from bie.analysis.figures.estimates import estimates
from bie.analysis.figures.forest import forest
from bie.analysis.figures.heat_map import grids, heat_map
from bie.analysis.figures.latent import latent_pictures
from bie.analysis.figures.learning_curves import MOST_LINES, learning_curves
from bie.analysis.figures.material import Chapter, Material, Picture
from bie.analysis.figures.style import MOST_ROWS
from bie.analysis.figures.trade_off import trade_off
from bie.analysis.figures.types import MOST_POINTS, MOST_TYPES, types
from bie.analysis.parse import SPLITS
from bie.analysis.run_files import read_histories
from bie.analysis.study import Study
from bie.analysis.titles import setting, shared_columns, short_keys
from bie.analysis.trade_offs import front_endings
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

PAIRS = (("be_ratio", "ari"), ("probe_f1", "ari"), ("probe_f1", "reconstruction"))
"""Mixing of batches against what must not be lost with it."""
MOST_NAMED = 16  # grid points with a number each in a plane
MOST_SEEDS = 20  # histories of a grid point
FEW_ROWS, PER_FIGURE = 20, 4  # of more grid points so many metrics, which fit on a page


def gallery(material: Material) -> Iterator[Picture]:
    """One figure after the other; what there are no data for is left out."""
    for chapter in chapters(material):
        yield from chapter(material)


def chapters(material: Material) -> list[Chapter]:
    """The same in parts, each of which can be drawn by itself."""
    datasets = list(dict.fromkeys(material.study.grid_points["dataset"]))
    kinds = (_forests, _bars, _estimates, _trade_offs, _heat_maps, _types, _curves, latent_pictures)
    ends = {str(name): f"_{_stem(str(name))}" if len(datasets) > 1 else "" for name in datasets}
    return [*(partial(_chapter, draw, *of) for of in ends.items() for draw in kinds), _cost]


def _chapter(
    draw: Callable[[Material, str], Iterator[Picture]], dataset: str, end: str, material: Material
) -> Iterator[Picture]:
    for picture in draw(material, dataset):
        caption = f"{dataset}: {picture.caption}" if end else picture.caption
        yield Picture(picture.name + end, caption, picture.draw)


def _stem(dataset: str) -> str:
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in dataset)[:40]


def _extent(names: dict[str, str]) -> str:
    return f" The first {MOST_ROWS} of {len(names)} grid points." if len(names) > MOST_ROWS else ""


def _of(frame: "pd.DataFrame", dataset: str, split: str | None = None) -> "pd.DataFrame":
    part = frame[frame["dataset"] == dataset]
    return part if split is None else part[part["split"] == split]


def _forests(material: Material, dataset: str) -> Iterator[Picture]:
    compared, titles = _of(material.compared, dataset, "test"), material.titles(dataset)
    arms = {config: title for config, title in titles.items() if not is_control(material.study, config)}
    judged = [metric for metric in material.metrics if CARDS[metric].direction != "none"]
    paired = compared[compared["mean"].notna() & compared["metric"].isin(judged)]
    known = set(paired["config_id"])
    names = arms if set(arms) & known else titles  # controls would set the scale
    names = {config: title for config, title in names.items() if config in known}
    shown = [metric for metric in judged if metric in set(paired["metric"])]
    of = material.study.sampled(names)
    for number, metrics in _pages(shown, len(names)):
        yield Picture(
            f"differences{number}",
            f"Test {of}: mean paired difference from the baseline on the same splits. Thick: 95 % interval "
            f"for these {of}; thin: for new {of}; grey: the margin within which a difference means nothing."
            f"{_extent(names)}",
            partial(forest, compared, names, metrics, of),
        )


def _pages(metrics: list[str], n_rows: int) -> Iterator[tuple[str, list[str]]]:
    """Metrics of one figure after the other, with what tells their names apart; all in one for few rows."""
    size = PER_FIGURE if n_rows > FEW_ROWS else max(len(metrics), 1)
    for start in range(0, len(metrics), size):
        yield f"_{start // size + 1}" if len(metrics) > size else "", metrics[start : start + size]


def _bars(material: Material, dataset: str) -> Iterator[Picture]:
    summary, names = _of(material.summary, dataset), material.titles(dataset)
    of = material.study.sampled(names)
    known = set(summary.loc[summary["n"] > 0, "metric"])
    shown = [metric for metric in material.metrics if metric in known]
    for number, metrics in _pages(shown, len(names)):
        caption = f"Mean over the seeds, ±sd, of training and of test {of}.{_extent(names)}"
        yield Picture(f"means{number}", caption, partial(bars, summary, names, metrics, of))


def _estimates(material: Material, dataset: str) -> Iterator[Picture]:
    runs = material.study.runs
    rows = (runs["dataset"] == dataset) & (runs["state"] == "done")
    for split in SPLITS:
        found = runs.loc[rows, ["config_id"]].join(material.study.numbers(split))
        if {"mi_estimate", "mi_truth"} <= set(found) and found["mi_truth"].notna().any():
            caption = (
                f"Estimated and true mutual information of {split} pairs: mean over the seeds, ±sd; beyond "
                "ln n nobody can certify it from so many pairs."
            )
            draw = partial(estimates, found, material.study.configs)
            yield Picture(f"estimates_{split}", caption, draw)


def _trade_offs(material: Material, dataset: str) -> Iterator[Picture]:
    study = material.study
    same = study.data_sets[study.grid_points["dataset"] == dataset]  # cells perturbed or split alike
    for number, configs in enumerate(same.groupby(same).groups.values(), 1):
        several = same.nunique() > 1
        end, which = f"_{number}" * several, f"{study.data_set_names[configs[0]]}. " * several
        key, names = _strengths(study, list(configs))
        told = f" Numbers: {key}." if key else ""
        controls = {str(study.grid_points.at[c, "model"]) for c in configs if is_control(study, c)}
        rows = study.runs["config_id"].isin(configs) & (study.runs["state"] == "done")
        wide = study.runs.loc[rows, ["model", "config_id", "seed"]].join(study.numbers("test"))
        beyond = " Arrows: controls beyond the axes, at the place that the legend gives." if controls else ""
        wide["model"] += wide["config_id"].map(front_endings(study))
        if several and not wide.groupby("model")["config_id"].nunique().gt(1).any():
            continue  # no front, and as many figures as there are kinds of cells
        for x, y in PAIRS:
            if {x, y} <= set(wide) and wide.dropna(subset=[x, y])["model"].nunique() > 1:
                caption = (
                    f"{which}Test cells. Small dots: runs; large: means of grid points; line: the front that "
                    f"half of the seeds attain with a model's grid points, band: 25 to 75 %.{told}{beyond}"
                )
                draw = partial(trade_off, wide, x, y, names, material.palette, controls)
                yield Picture(f"trade_off_{x}_{y}{end}", caption, draw)


def _strengths(study: Study, configs: list[str]) -> tuple[str, dict[str, str]]:
    """The one setting in which a few grid points differ, and its value in each; else nothing."""
    part = study.grid_points.loc[configs]
    columns = shared_columns(part, [key for key in study.grid if part[key].nunique(dropna=False) > 1])
    if len(columns) != 1 or len(part) > MOST_NAMED:
        return "", {}
    (alike,) = columns.values()
    values = {
        str(config): next(filter(None, map(setting, row)), "")
        for config, row in zip(part.index, part[alike].to_numpy(object), strict=True)
    }
    return next(iter(short_keys(list(columns)).values())), values


def _heat_maps(material: Material, dataset: str) -> Iterator[Picture]:
    summary, points = _of(material.summary, dataset, "test"), material.study.grid_points
    found = list(grids(points[points["dataset"] == dataset]))
    drawn = [config for grid in found for config in grid.configs]
    summary = summary[summary["config_id"].isin(drawn) & (summary["n"] > 0)]
    models = [grid.model for grid in found]
    shared = " Colours mean the same for each model." if len(set(models)) > 1 else ""
    for i, grid in enumerate(found):
        of = summary[summary["config_id"].isin(grid.configs)]
        number = f"_{models[: i + 1].count(grid.model)}" if models.count(grid.model) > 1 else ""
        for metric in [m for m in ("ari", "be_ratio", "probe_f1") if m in set(of["metric"])]:
            where = f"{', '.join([grid.model, *grid.fixed])}, test cells"
            caption = f"{where}: mean over the seeds by {', '.join(grid.keys)}.{shared}"
            means = summary.loc[summary["metric"] == metric, "mean"]
            draw = partial(heat_map, of, grid.keys, metric, (float(means.min()), float(means.max())))
            yield Picture(f"grid_{grid.model}_{metric}{number}", caption, draw)


def _types(material: Material, dataset: str) -> Iterator[Picture]:
    found = _of(by_type(material.study), dataset, "test")
    known = set(found["config_id"])
    names = {config: title for config, title in material.titles(dataset).items() if config in known}
    n_types = found["type"].nunique()
    if n_types > 1:
        more = f" {MOST_POINTS} of {len(names)} grid points." if len(names) > MOST_POINTS else ""
        more += f" {MOST_TYPES} of {n_types} types." if n_types > MOST_TYPES else ""
        caption = (
            "Test cells, by cell type: optimal transport between batches in units of that within a batch; "
            "mean over the seeds, ±sd; types by their mean over the grid points, largest first. "
            f"1: mixed.{more}"
        )
        chosen = _spread(material, names, MOST_POINTS)
        yield Picture("types", caption, partial(types, found, chosen, material.palette))


def _curves(material: Material, dataset: str) -> Iterator[Picture]:
    import pandas as pd

    whole = {c: t for c, t in material.titles(dataset).items() if not is_control(material.study, c)}
    names = _spread(material, whole, MOST_LINES)
    runs = material.study.runs
    chosen = runs[runs["config_id"].isin(set(names)) & (runs["state"] == "done")]
    chosen = chosen.groupby("config_id", sort=False).head(MOST_SEEDS)
    parts = [
        found.assign(
            title=names[str(chosen.at[label, "config_id"])],
            model=str(chosen.at[label, "model"]),
            seed=cast(int, chosen.at[label, "seed"]),
        )
        for label, found in read_histories(material.tree, chosen, material.seen)
    ]
    if parts:
        more = f" {MOST_LINES} of {len(whole)} grid points." if len(whole) > MOST_LINES else ""
        of = material.study.sampled(names)
        caption = f"Every loss term by epoch: mean over the seeds, ±sd.{more}"
        history = pd.concat(parts, ignore_index=True)
        draw = partial(learning_curves, history, of, material.palette)
        yield Picture("learning_curves", caption, draw)


def _spread(material: Material, names: dict[str, str], most: int) -> dict[str, str]:
    """At most so many grid points, of each model the first, then of each the second, ..., in their order."""
    models = material.study.grid_points.loc[list(names), "model"]
    turn = models.groupby(models, sort=False).cumcount().sort_values(kind="stable")
    chosen = set(turn.index[:most])
    return {config: title for config, title in names.items() if config in chosen}


def _cost(material: Material) -> Iterator[Picture]:
    runs = material.study.runs
    if "total_s" not in material.study.timing:
        return
    timing = material.study.timing[runs["state"] == "done"].join(runs[["dataset", "model", "device"]])
    timing = timing[timing["total_s"].notna()]  # runs of 2019 do not say
    if len(timing):
        hours = timing["total_s"].sum() / 3600
        caption = f"What {len(timing):,} finished runs took, {hours:,.2g} hours in all."
        yield Picture("cost", caption, partial(cost, timing, material.palette))
