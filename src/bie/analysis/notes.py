"""What a reader of a table has to know: what failed or is missing, and what differs between the records."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bie.analysis.study import Study
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd


def label(metric: str) -> str:
    """Name of a metric in tables."""
    return CARDS[metric].label if metric in CARDS else metric


def notes(study: Study, dataset: str, split: str) -> list[str]:
    """Sentences to stand below the table of a dataset and a split, the gravest first."""
    runs = study.runs[study.runs["dataset"] == dataset]
    found = [*_absent(runs), *_without_value(study, runs, split), *_differences(runs)]
    return [*found, *_densities(study.cells[study.cells["dataset"] == dataset])]


def _absent(runs: "pd.DataFrame") -> Iterator[str]:
    """Runs without a record that can be read."""
    failed = runs[runs["state"] == "failed"]
    if len(failed):
        causes = ", ".join(f"{cause} {n}" for cause, n in _counts(failed["cause"]))
        yield f"{_runs(len(failed))} failed: {causes} (why: bie logs --failed)"
    for where in runs.loc[runs["state"] == "unreadable", "where"]:
        yield f"cannot be read, left out: {where} (remove it to run this again)"
    missing = int((runs["state"] == "missing").sum())
    if missing:
        yield f"{_runs(missing)} missing: asked for, not done (bie retry completes the study)"


def _without_value(study: Study, runs: "pd.DataFrame", split: str) -> Iterator[str]:
    """Numbers that finished runs do not have: the metrics with the same reason in one sentence."""
    done = runs.index[runs["state"] == "done"]
    shared: dict[tuple[str, int], list[str]] = {}
    for metric in study.reasons[split].columns if len(done) else ():
        for reason, n in _counts(study.reasons[split, metric].loc[done].dropna()):
            shared.setdefault((reason, n), []).append(label(metric))
    for (reason, n), labels in shared.items():
        extent = _runs(n) if n < len(done) else "any run"
        yield f"{', '.join(labels)}: no value in {extent} ({reason})"


def _differences(runs: "pd.DataFrame") -> Iterator[str]:
    """Records of one table that were made by different code or in different environments."""
    done = runs[runs["state"] == "done"]
    codes = list(_counts(done["code"]))
    if len(codes) > 1:
        made = ", ".join(f"{code} ({_runs(n)})" for code, n in codes)
        yield f"records made by {len(codes)} versions of the code: {made}"
    environments = Counter(done["packages"])
    rows = [(dict(packages), n) for packages, n in environments.items()]
    for package in sorted({name for row, _ in rows for name in row} if len(rows) > 1 else ()):
        versions: Counter[str] = Counter()
        for row, n in rows:
            versions[str(row.get(package) or "none")] += n
        if len(versions) > 1:
            made = ", ".join(f"{version} ({_runs(n)})" for version, n in _counts(versions.elements()))
            yield f"records made with different {package}: {made}"


def _densities(cells: "pd.DataFrame") -> Iterator[str]:
    """Likelihoods of one table whose values are not of the same thing."""
    likelihoods = set(cells["model.likelihood"].dropna()) if "model.likelihood" in cells else set()
    if "gaussian" in likelihoods and len(likelihoods) > 1:
        terms = f"{label('elbo')} and {label('reconstruction')}"
        yield f"{terms} with likelihood gaussian: of a density of log(1 + counts), no match for the others"


def _counts(column: Iterable[str]) -> list[tuple[str, int]]:
    """Distinct values and how often they occur, the most frequent first."""
    return sorted(Counter(column).items(), key=lambda item: (-item[1], item[0]))


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n:,} runs"
