"""The verdicts of a study in words, the caveats before them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bie.analysis.answer import answer, more_seeds
from bie.analysis.baseline import any_of
from bie.analysis.headings import label, unit
from bie.analysis.notes import notes
from bie.analysis.numbers import difference, short
from bie.analysis.results import Results
from bie.analysis.tidy import records

FEW = 5  # pairs; below, an interval says little
KINDS = ("better", "worse", "equal", "open")


@dataclass(frozen=True)
class Finding:
    """One metric of a sentence: the difference with its interval for these cells, and what more is known."""

    metric: str
    text: str
    new_cells: bool


@dataclass(frozen=True)
class Sentence:
    """A grid point against its baseline; findings by verdict."""

    config_id: str
    title: str
    baseline: str
    n_pairs: int
    findings: Mapping[str, tuple[Finding, ...]]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a data set, to be read in this order."""

    dataset: str
    of: str
    caveats: tuple[str, ...]
    answer: tuple[str, ...]
    sentences: tuple[Sentence, ...]

    @property
    def against(self) -> str:
        """What the grid points are compared with."""
        return any_of(list(dict.fromkeys(sentence.baseline for sentence in self.sentences)))


def verdict(results: Results, dataset: str, titles: Mapping[str, str], metrics: Sequence[str]) -> Verdict:
    """Put the comparisons of the test cells of a data set into words.

    Parameters
    ----------
    metrics
        Those to speak of; of no direction is skipped.
    """
    compared = results.comparison
    points = results.study.grid_points[results.study.grid_points["dataset"] == dataset]
    chosen = (compared["dataset"] == dataset) & (compared["split"] == "test")
    rows = compared[chosen & compared["metric"].isin(metrics)]
    by_point: dict[str, list[Mapping[Any, Any]]] = {}
    for row in records(rows):
        by_point.setdefault(row["config_id"], []).append(row)
    sentences = [_sentence(config, found, titles) for config, found in by_point.items()]
    told = [sentence for sentence in sentences if any(sentence.findings.values())]
    of = results.study.sampled(titles)
    caveats = [*notes(results.study, points, "test"), *_caveats(told, bool(len(rows)), of)]
    short = answer(results.study, rows, results.bounds, metrics, titles) if told else []
    return Verdict(dataset, of, tuple(caveats), tuple(short), tuple(told))


def _caveats(sentences: Sequence[Sentence], compared: bool, of: str) -> Iterable[str]:
    if not sentences:
        why = "no grid point has a split in common with its baseline" if compared else "there is no baseline"
        yield f"Nothing is compared: {why}."
        return
    few = min(sentence.n_pairs for sentence in sentences)
    if few < 2:
        yield "One pair of runs has no spread: no interval, no verdict. More seeds are needed."
    elif few < FEW:
        yield f"Only {few} pairs of runs in some rows: their intervals rest on a normal distribution."
    yield (
        "“These cells” speaks of this data set alone. Whether it would be so on another draw of cells is the "
        "second reading, “new cells”; more seeds hardly help there."
        if of == "cells"
        else f"Each seed draws its {of} anew: what holds for these holds for new ones."
    )


def _sentence(config: str, rows: Sequence[Mapping[Any, Any]], titles: Mapping[str, str]) -> Sentence:
    findings: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
    for row in rows:
        if row["verdict"] in findings and row["mean"] == row["mean"]:
            new = row["new_cells"] == "shown" and row["verdict"] in ("better", "worse")
            findings[row["verdict"]].append(Finding(label(row["metric"]), _difference(row), new))
    baseline = titles.get(rows[0]["baseline_id"], "its baseline")
    return Sentence(
        config_id=config,
        title=titles[config],
        baseline=baseline,
        n_pairs=max(int(row["n_pairs"]) for row in rows),
        findings={kind: tuple(found) for kind, found in findings.items()},
    )


def _difference(row: Mapping[Any, Any]) -> str:
    """Difference with its interval, its unit, and what would settle an open one."""
    import pandas as pd

    text = difference(row["mean"], row["low"], row["high"], unit(row["metric"]))
    if row["verdict"] == "equal":
        text += f", within {short(format(row['margin'], '.3g'))}"
    if row["verdict"] == "open" and not pd.isna(row["more_seeds"]):
        text += f", {more_seeds(row['more_seeds'])} would tell"
    return text
