"""What a reader of a table has to know: what failed or is missing, and what differs between the records."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from bie.analysis.caveats import NUMBER, Said
from bie.analysis.headings import label
from bie.analysis.indexed import NOT_RECORDED
from bie.analysis.parse import SPLITS
from bie.analysis.study import Study
from bie.metrics.cards import CARDS, NO_CRITIC, NO_LIKELIHOOD

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 10  # records that cannot be read


def notes(
    study: Study, points: "pd.DataFrame", split: str, metrics: Sequence[str] | None = None
) -> list[str]:
    """Sentences to stand below the table of a dataset and a split, the gravest first.

    Parameters
    ----------
    points
        Rows of `Study.grid_points`: of what else is in the study, nothing is said.
    metrics
        The only ones to speak of, where some were asked for.
    """
    runs = study.runs[study.runs["config_id"].isin(points.index)]
    found = [
        *_decided(study, points.index),
        *_absent(runs),
        *_unshared_seeds(runs),
        *_without_value(study, runs, split, metrics),
        *_differences(runs),
    ]
    told = {name for name, card in CARDS.items() if card.headline} if metrics is None else {*metrics}
    return [
        *found,
        *_caveats(study, points.index, split, told),
        *_unlike(study, points.index),
    ]


def _decided(study: Study, configs: Iterable[str]) -> Iterator[str]:
    """Grid points that got no further seeds; the table's own intervals take the number of seeds as fixed."""
    from bie.analysis.baseline import row_name

    for config in configs:
        if config in study.decided:
            yield f"{row_name(study, config)} was stopped: {study.decided[config]}"


def _absent(runs: "pd.DataFrame") -> Iterator[str]:
    """Runs without a record that can be read."""
    failed = runs[runs["state"] == "failed"]
    if len(failed):
        causes = ", ".join(f"{cause} {n}" for cause, n in _counts(failed["cause"]))
        yield f"{_runs(len(failed))} failed: {causes} (why: bie logs --failed)"
    unreadable = runs[runs["state"] == "unreadable"]
    for where, why in list(zip(unreadable["where"], unreadable["cause"], strict=True))[:MOST_NAMED]:
        yield f"cannot be read, left out: {where} ({f'{why}; ' if why else ''}remove it to run this again)"
    if len(unreadable) > MOST_NAMED:
        yield f"cannot be read, left out: {len(unreadable) - MOST_NAMED:,} more records"
    missing = int((runs["state"] == "missing").sum())
    if missing:
        yield f"{_runs(missing)} missing: asked for, not done (bie retry completes the study)"


def _unshared_seeds(runs: "pd.DataFrame") -> Iterator[str]:
    """Finished seeds that were not asked of every row: these means are not over the same splits.

    A seed that another row was asked for and does not have is a failed or missing run, not one of these.
    """
    asked = [set(seeds) for _, seeds in runs.groupby("config_id")["seed"]]
    common = asked[0].intersection(*asked) if asked else set()
    extra = runs[(runs["state"] == "done") & ~runs["seed"].isin(common)]
    n_rows = Counter(runs.drop_duplicates("config_id")["model"])
    alike = Counter(
        (row["model"].iloc[0], _ranges(sorted(row["seed"])))
        for _, row in extra.groupby("config_id", sort=False)
    )
    for (model, seeds), n in alike.items():
        who = f"{model} has" if n == n_rows[model] else f"{n} of {n_rows[model]} rows of {model} have"
        yield f"{who} seeds that other rows lack: {seeds}"


def _ranges(numbers: Sequence[int]) -> str:
    """Sorted whole numbers, those in a row by their ends.

    >>> _ranges([0, 3, 4, 5, 9])
    '0, 3-5, 9'
    """
    rows: list[list[int]] = []
    for number in numbers:
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return ", ".join(str(row[0]) if len(row) == 1 else f"{row[0]}-{row[-1]}" for row in rows)


def _without_value(
    study: Study, runs: "pd.DataFrame", split: str, metrics: Sequence[str] | None
) -> Iterator[str]:
    """Numbers that finished runs do not have: the metrics with the same reason in one sentence."""
    done = runs.index[runs["state"] == "done"]
    shared: dict[tuple[str, int], list[str]] = {}
    known = study.numbers(split).columns
    place: dict[Any, int] = {key: i for i, key in enumerate(study.values.columns)}
    for metric in known if metrics is None else [name for name in known if name in metrics]:
        if metric in CARDS and CARDS[metric].optional and study.values[split, metric].loc[done].isna().all():
            continue
        for reason, n in _alike(study.why.counts(place[split, metric], done)):
            if (
                metrics is None
                and (reason, n) == (NOT_RECORDED, len(done))
                and _is_foreign(study, metric, done)
            ):
                continue
            shared.setdefault((reason, n), []).append(label(metric))
    for (reason, n), labels in shared.items():
        extent = _runs(n) if n < len(done) else "any run"
        yield f"{', '.join(labels)}: no value in {extent} ({reason})"


def _is_foreign(study: Study, metric: str, done: "pd.Index[Any]") -> bool:
    """Whether some runs have no number of a metric of other runs of the study: records of pairs, of 2019."""
    splits = [split for split in SPLITS if (split, metric) in study.values]
    return bool(study.values[[(split, metric) for split in splits]].loc[done].isna().to_numpy().all())


def _alike(reasons: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Reasons and how often they occur; of those alike but for numbers one, that others are so too."""
    found: dict[str, list[tuple[str, int]]] = {}
    for reason, n in _counts(reasons):
        if n and reason not in (NO_CRITIC, NO_LIKELIHOOD):  # that is what a model is, and no news of its runs
            found.setdefault(NUMBER.sub("#", reason), []).append((reason, n))
    for alike in found.values():
        others = "; others like this" if len(alike) > 1 else ""
        yield f"{alike[0][0]}{others}", sum(n for _, n in alike)


def _caveats(study: Study, configs: Iterable[str], split: str, metrics: Set[str]) -> Iterator[str]:
    """Notes of records on their cells and some metrics; sentences alike but for numbers once."""
    shown: dict[str, list[tuple[str, Said]]] = {}
    told = frozenset({"cells", "perturb", *metrics})
    for (part, metric, alike), said in study.caveats(tuple(configs), told).items():
        if part in ("", split):
            shown.setdefault(alike, []).append((label(metric), said))
    for rows in shown.values():
        first, n = rows[0][1].sentence, sum(said.n for name, said in rows if name == rows[0][0])
        differ = any(said.differ or said.sentence != first for _, said in rows)
        extent = f" ({_runs(n)} like this)" if differ else ""
        yield f"{', '.join(dict.fromkeys(name for name, _ in rows))}: {first}{extent}"


def _differences(runs: "pd.DataFrame") -> Iterator[str]:
    """Records of one table that were made by different code or in different environments."""
    done = runs[runs["state"] == "done"]
    codes = list(_counts(done["code"]))
    if len(codes) > 1:
        made = ", ".join(f"{code} ({_runs(n)})" for code, n in codes)
        yield f"records made by {len(codes)} versions of the code: {made}"
    objects = {id(packages): packages for packages in done["packages"]}  # records share theirs
    environments = Counter(map(id, done["packages"]))
    rows = [(dict(objects[which]), n) for which, n in environments.items()]
    for package in sorted({name for row, _ in rows for name in row} if len(rows) > 1 else ()):
        versions: Counter[str] = Counter()
        for row, n in rows:
            versions[str(row.get(package) or "none")] += n
        if len(versions) > 1:
            made = ", ".join(f"{version} ({_runs(n)})" for version, n in _counts(versions.elements()))
            yield f"records made with different {package}: {made}"


def _unlike(study: Study, configs: Iterable[str]) -> Iterator[str]:
    """Numbers of one table that are not of the same thing."""
    known = [study.configs.get(config, {}) for config in configs]

    def differing(*beginnings: str) -> list[str]:
        keys = {key for settings in known for key in settings if key.startswith(beginnings)}
        return sorted(key for key in keys if len({settings.get(key) for settings in known}) > 1)

    terms = f"{label('elbo')} and {label('reconstruction')}"
    likelihoods, libraries = (
        {settings.get(f"model.{name}") for settings in known} - {None} for name in ("likelihood", "library")
    )
    if "gaussian" in likelihoods and len(likelihoods) > 1:
        yield f"{terms} with likelihood gaussian: of a density of log(1 + counts), no match for the others"
    if len(libraries) > 1:
        yield f"{label('elbo')} with model.library=observed: of counts given their total, no match for others"
    if genes := differing("dataset.n_top_genes", "dataset.hvg"):
        yield f"{terms} are sums over the genes of a run: rows with other {' or '.join(genes)} are no match"
    if ways := differing("metrics."):
        yield f"rows with other {' or '.join(ways)} are scored in another way: no match where that matters"


def _counts(column: Iterable[str] | Mapping[str, int]) -> list[tuple[str, int]]:
    """Distinct values and how often they occur, the most frequent first."""
    return sorted(Counter(column).items(), key=lambda item: (-item[1], item[0]))


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n:,} runs"
