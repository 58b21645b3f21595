"""Put the page together: one file, in which nothing runs but its own script."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from bie.analysis.headings import heading
from bie.analysis.marks import SYMBOLS
from bie.analysis.page.again import commands
from bie.analysis.page.content import failures, metric_cards, tables
from bie.analysis.page.made import MOST_RUNS
from bie.analysis.page.run_pages import run_pages, short
from bie.analysis.page.words import verdict
from bie.analysis.paired_tables import across_tables
from bie.analysis.results import Results
from bie.analysis.study import Study
from bie.analysis.titles import row_titles, shortened, titles
from bie.store.identity import SHOWN
from bie.store.paths import Tree

PIXELS = 4 / 3  # of a point, as browsers have them
WIDE = 480  # pixels; a wider figure, shrunk to half of the page, could not be read
MOST_SENTENCES, FEW_SENTENCES = 12, 2
"""Grid points whose every metric is put into words, and up to how many are open at first."""


@dataclass(frozen=True)
class Source:
    """What a page is made of.

    Attributes
    ----------
    pictures
        Stem, caption and SVG of each figure.
    named
        The tree as commands name it.
    with_runs
        Whether to give each run a page.
    """

    tree: Tree
    results: Results
    metrics: tuple[str, ...]
    pictures: Iterable[tuple[str, str, bytes]]
    named: str
    with_runs: bool = True


def build(source: Source, live: str = "") -> str:
    """Return the page as HTML.

    Parameters
    ----------
    live
        Version by which a served page finds out that there is a newer one; empty for a file.
    """
    script, css = _part("page.js"), _part("page.css")
    runs = source.results.study.runs
    with_runs = source.with_runs and len(runs) <= MOST_RUNS
    page = _environment().from_string(_part("page.html.j2"))
    shown = tables(source.results.for_people)
    again = commands(source.tree)
    names = titles(source.results.study.grid_points)
    metrics = list(dict.fromkeys(metric for table in shown for metric in table.metrics))
    unreadable = runs[runs["state"] == "unreadable"]
    found = failures(runs, names, source.named)
    verdicts = _verdicts(source)
    pictures = [_picture(*picture) for picture in source.pictures]  # last: other processes save them
    html: str = page.render(
        policy=_policy(script, css, bool(live)),
        css=_raw(css),
        js=_raw(script),
        live=live,
        study=shortened(source.results.study.name, 200),
        counts=_counts(source.results.study),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        sections=_sections(bool(shown), bool(pictures), bool(found) or bool(len(unreadable))),
        verdicts=verdicts,
        across=across_tables(source.results.for_people, ("test",)),
        nothing="Nothing is done yet: no verdict, no table, no figure. What failed is below.",
        marks=SYMBOLS,
        most_sentences=MOST_SENTENCES,
        few_sentences=FEW_SENTENCES,
        tables=shown,
        headline=set(source.metrics),
        heading=heading,
        pictures=pictures,
        failures=found,
        unreadable=list(zip(unreadable["where"], unreadable["cause"], strict=True)),
        tree=source.named,
        run_rows=_json(_run_rows(source)) if with_runs else "",
        run_details=_json(_details(source, again)) if with_runs else "",
        no_runs=f"{len(runs):,} runs: their pages are left out here. One of them: bie logs RUN",
        commands=[(names[config], again[config] + "SEED") for config in names if config in again],
        cards=metric_cards(metrics),
    )
    return html


def _verdicts(source: Source) -> list[Any]:
    results = source.results.for_people
    points, runs = results.study.grid_points, results.study.runs
    done = set(runs.loc[runs["state"] == "done", "dataset"])
    return [
        verdict(results, str(dataset), titles(part), source.metrics)
        for dataset, part in points.groupby("dataset", sort=False)
        if dataset in done
    ]


def _counts(study: Study) -> str:
    counts = study.runs["state"].value_counts()
    names = {"done": "done", "failed": "failed", "unreadable": "unreadable", "missing": "not done yet"}
    parts = [f"{counts[state]:,} {name}" for state, name in names.items() if counts.get(state, 0)]
    return f"{len(study.runs):,} runs of {len(study.grid_points):,} grid points: {', '.join(parts) or 'none'}"


def _sections(with_tables: bool, with_figures: bool, with_failures: bool) -> list[tuple[str, str]]:
    names = [("verdict", "Verdict")]
    names += [("tables", "Tables")] if with_tables else []
    names += [("figures", "Figures")] if with_figures else []
    names += [("failures", "Failures")] if with_failures else []
    return [*names, ("runs", "Runs"), ("reproduce", "Numbers again")]


def _run_rows(source: Source) -> dict[str, Any]:
    """The table of runs: texts and numbers, and which grid point and seed each row is."""
    names = row_titles(source.results.study.grid_points)
    runs, values = source.results.study.runs, source.results.study.numbers("test")
    shown = [metric for metric in source.metrics if metric in values and values[metric].notna().any()]
    columns: dict[str, list[Any]] = {
        "run": [_run_name(row) for row in runs.to_dict("records")],
        "data set": runs["dataset"].tolist(),
        "grid point": [names[config] for config in runs["config_id"]],
        "seed": runs["seed"].tolist(),
        "state": [f"{s} ({c})" if c else s for s, c in zip(runs["state"], runs["cause"], strict=True)],
        "seconds": [_number(value) for value in runs["seconds"]],
        **{heading(metric): [_number(value) for value in values[metric]] for metric in shown},
    }
    return {
        "columns": list(columns),
        "rows": [list(row) for row in zip(*columns.values(), strict=True)],
        "labels": [str(label) for label in runs.index],
        "points": runs["config_id"].tolist(),
        "seeds": runs["seed"].tolist(),
    }


def _run_name(row: Mapping[Any, Any]) -> str:
    run_id = row["run_id"]
    return run_id[:SHOWN] if isinstance(run_id, str) else f"{row['config_id'][:SHOWN]} seed {row['seed']}"


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if abs(value) < float("inf") else None


def _details(source: Source, again: Mapping[str, str]) -> dict[str, Any]:
    configs = {config: short(flat) for config, flat in source.results.study.configs.items()}
    return {**run_pages(source.tree, source.results.study.runs), "configs": configs, "commands": dict(again)}


def _json(value: Any) -> Any:
    """JSON that can stand inside a script element, whatever texts are in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return _raw(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _raw(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _environment() -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def _part(name: str) -> str:
    return files("bie.analysis.page").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str, css: str, live: bool) -> str:
    """Content security policy: the script and the style of this page by their hashes, pictures inside it."""
    script_hash, css_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, css)
    )
    rules = [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "img-src data:",
        f"script-src 'sha256-{script_hash}'",
        f"style-src 'sha256-{css_hash}'",
        *(["connect-src 'self'"] if live else []),
    ]
    return "; ".join(rules)


def _picture(name: str, caption: str, svg: bytes) -> dict[str, Any]:
    """What the page needs of a figure; with its size the page does not move when it is shown."""
    data = base64.b64encode(svg).decode()
    size = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width, height = (round(float(side) * PIXELS) for side in size.groups()) if size else (600, 400)
    return {
        "name": name,
        "caption": caption,
        "source": f"data:image/svg+xml;base64,{data}",
        "width": width,
        "height": height,
        "is_wide": width > WIDE,
    }
